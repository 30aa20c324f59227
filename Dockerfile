FROM python:3.11-slim
RUN useradd --create-home explorer
WORKDIR /home/explorer/app
COPY requirements.txt pyproject.toml README.md LICENSE ./
# torch comes first, so that nothing after it asks for another build. For its CPU build name the index that holds
# it: docker build --build-arg PIP_EXTRA_INDEX_URL=... -t matgen-explorer .
ARG PIP_EXTRA_INDEX_URL
RUN pip install --no-cache-dir "$(grep '^torch==' requirements.txt)" \
    && pip install --no-cache-dir --requirement requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --editable . && chown -R explorer /home/explorer
USER explorer
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"
# Inside a container the app must listen beyond loopback; publish the port to this machine only:
# docker run --rm -p 127.0.0.1:8501:8501 matgen-explorer
CMD ["streamlit", "run", "app.py", "--server.address=0.0.0.0", "--server.headless=true"]
