"""Rows written to bytes in every container and compression, by other code than the readers use."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def jsonl_windows(rows):
    """With a byte order mark, `\\r\\n`, blank lines, and no end of the last line."""
    return b"\xef\xbb\xbf" + "\r\n\r\n".join(json.dumps(row) for row in rows).encode()


def json_array(rows):
    return json.dumps(rows).encode()


def json_array_pretty(rows):
    return json.dumps(rows, indent=4, ensure_ascii=False).encode()


def json_array_flat(rows):
    """Line ends without any indentation."""
    return json.dumps(rows, indent=0).encode()


def json_objects(rows):
    return "\n".join(json.dumps(row, indent=2) for row in rows).encode()


def json_objects_on_one_line(rows):
    return " ".join(json.dumps(row) for row in rows).encode()


def parquet(rows):
    columns = dict.fromkeys(key for row in rows for key in row)
    return parquet_table(pa.table({key: [row.get(key) for row in rows] for key in columns}))


def gzipped(raw):
    return gzip.compress(raw)


def gzipped_in_parts(raw):
    middle = len(raw) // 2
    return gzip.compress(raw[:middle]) + gzip.compress(raw[middle:])


def zstd(raw):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(raw)
    return sink.getvalue().to_pybytes()


def parquet_table(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def empty_parquet():
    return parquet_table(pa.table({"instruction": pa.array([], pa.string())}))
