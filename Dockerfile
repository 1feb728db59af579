# fastnst serve in a container. Install, start and health check are run as a test, in a virtual environment; the other
# lines are not run, and no image was built.
#
#   docker build -t fastnst . && docker run --rm --stop-timeout 100 -p 127.0.0.1:8000:8000 -e FASTNST_API_KEY fastnst
FROM python:3.11-slim
COPY . /src
# The second index has torch without CUDA, which is much smaller.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu '/src[serve]' && rm -r /src
RUN useradd --create-home painter
USER painter
WORKDIR /home/painter
EXPOSE 8000
HEALTHCHECK CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez')"
CMD ["fastnst", "serve", "--host", "0.0.0.0"]
