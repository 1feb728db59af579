"""Serving: styles for people who open no terminal, and for programs that are not Python.

settings.py  the settings of `fastnst serve`
commands.py  `fastnst serve`, `fastnst page`
page.py      the page in the browser: its files, which `web/` builds into site/
checks.py    what is refused before torch is loaded: missing packages, a taken port, an unknown style
server.py    the process: its socket, its signals, slow connections
app.py       addresses and answers: painting, styles, health, metrics
uploads.py   a request's body, read within its limits, and what it asks for
painters.py  threads that paint, the queue before them, styles in memory
openapi.py   the description of the addresses, for programs and as a page
logs.py      log lines as JSON
"""
