"""TensorBoard event files: writes the record that a test compares with, or shows what TensorBoard reads from a run.

    pip install tensorboard
    python tools/reference/tensorboard_events.py record > testdata/golden/tensorboard-record.hex
    python tools/reference/tensorboard_events.py show runs/quick/repetition
"""
import io
import json
import pathlib
import sys


def record():
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter

    value = summary_pb2.Summary.Value(tag="loss", simple_value=2.25)
    event = event_pb2.Event(wall_time=1.5, step=300, summary=summary_pb2.Summary(value=[value]))
    file = io.BytesIO()
    RecordWriter(file).write(event.SerializeToString())
    print(file.getvalue().hex())


def show(folder):
    """Compares every scalar that TensorBoard reads with metrics.jsonl beside the event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(folder, size_guidance={"scalars": 0})
    events.Reload()
    lines = [json.loads(line) for line in (pathlib.Path(folder) / "metrics.jsonl").read_text().splitlines()]
    for tag in sorted(events.Tags()["scalars"]):
        read = {scalar.step: scalar.value for scalar in events.Scalars(tag)}
        written = {line["step"]: line[tag] for line in lines if tag in line}
        assert read.keys() == written.keys(), (tag, sorted(read.keys() ^ written.keys())[:10])
        worst = max(abs(read[step] - written[step]) / max(abs(written[step]), 1e-30) for step in read)
        assert worst < 1e-6, (tag, worst)  # TensorBoard keeps f32
        print(f"{tag}: {len(read)} steps, the last {read[max(read)]:.6g}, largest relative difference {worst:.1e}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["record"]:
        record()
    elif sys.argv[1:2] == ["show"] and len(sys.argv) == 3:
        show(sys.argv[2])
    else:
        sys.exit(__doc__)
