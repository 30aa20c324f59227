"""The app's own Streamlit components: Python wrapper and plain JavaScript side by side."""
