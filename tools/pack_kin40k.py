"""Make data/kin40k-*.csv.gz from the source's files.

    python3 tools/pack_kin40k.py FOLDER

FOLDER holds kin40k.data.csv.gz and kin40k.test_mask.csv.gz of the collection named in
data/SOURCES.md. Cells keep their text; rows whose mask is 1 in column 0 are test rows.
"""

import gzip
import pathlib
import sys

HEADER = "x1,x2,x3,x4,x5,x6,x7,x8,distance"
DATA = pathlib.Path(__file__).resolve().parents[1] / "data"


def lines(path: pathlib.Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode("ascii").split()


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    rows = lines(folder / "kin40k.data.csv.gz")
    is_test = [
        mask.split(",")[0] == "1" for mask in lines(folder / "kin40k.test_mask.csv.gz")
    ]
    for part, wanted in (("train", False), ("test", True)):
        chosen = [
            row for row, test in zip(rows, is_test, strict=True) if test == wanted
        ]
        text = "\n".join([HEADER, *chosen]) + "\n"
        packed = gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0)
        (DATA / f"kin40k-{part}.csv.gz").write_bytes(packed)
        print(f"kin40k-{part}.csv.gz: {len(chosen)} rows, {len(packed)} bytes")


if __name__ == "__main__":
    main()
