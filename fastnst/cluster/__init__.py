"""Collections on a cluster: files at addresses in, files at addresses out, by Ray Data and fsspec.

Exactly one result for each file, whatever dies. Knows nothing of pictures: what is made of a file is handed in.

    places.py     files at addresses: listed, read, and created whole or not at all
    manifest.py   the files of a collection, and the address of each one's result
    results.py    a row for each file, as Parquet beside the results
    worker.py     reads, makes and writes side by side; an actor of Ray holds one
    spread.py     the collection over the actors of a cluster
"""
