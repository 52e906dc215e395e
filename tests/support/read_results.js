// Read result objects with dcmjs, and tell as JSON what it understood: node read_results.js DCMJS_FOLDER FILE...
const crypto = require("crypto");
const fs = require("fs");

const dcmjs = require(process.argv[2]);
const { DicomMessage, DicomMetaDictionary, BitArray } = dcmjs.data;
const { Normalizer } = dcmjs.normalizers;

const bytesOf = (file) => {
  const raw = fs.readFileSync(file);
  return raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length);
};

const naturalized = (file) => {
  const message = DicomMessage.readFile(bytesOf(file));
  const dataset = DicomMetaDictionary.naturalizeDataset(message.dict);
  dataset._meta = DicomMetaDictionary.namifyDataset(message.meta);
  return dataset;
};

const first = (sequence) => (Array.isArray(sequence) ? sequence[0] : sequence);
const list = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);
const code = (sequence) => (first(sequence) ? `${first(sequence).CodeValue} ${first(sequence).CodingSchemeDesignator}` : "");

// Voxels of a SEG, one byte each, however they are stored.
const voxelsOf = (seg) => {
  const stored = first(seg.PixelData);
  if (seg.BitsAllocated !== 1) return new Uint8Array(stored);
  return BitArray.unpack(stored).slice(0, seg.NumberOfFrames * seg.Rows * seg.Columns);
};

const segmentation = (seg) => {
  const voxels = voxelsOf(seg);
  const size = seg.Rows * seg.Columns;
  const normalized = Normalizer.normalizeToDataset([seg]);
  const shared = first(seg.SharedFunctionalGroupsSequence);
  return {
    segments: list(seg.SegmentSequence).map((one) => ({
      number: one.SegmentNumber,
      label: one.SegmentLabel,
      type: code(one.SegmentedPropertyTypeCodeSequence),
      trackingUid: one.TrackingUID,
    })),
    normalizedFrames: Number(normalized.NumberOfFrames),
    frames: list(seg.PerFrameFunctionalGroupsSequence).map((groups, index) => {
      const find = (macro) => first(groups[macro]) || first(shared[macro]);
      const source = first(find("DerivationImageSequence").SourceImageSequence);
      const frame = voxels.slice(index * size, (index + 1) * size).map((voxel) => (voxel ? 1 : 0));
      return {
        segment: Number((find("SegmentIdentificationSequence") || {}).ReferencedSegmentNumber || 0),
        position: list(find("PlanePositionSequence").ImagePositionPatient).map(Number),
        source: source.ReferencedSOPInstanceUID,
        sourceFrame: source.ReferencedFrameNumber === undefined ? null : Number(source.ReferencedFrameNumber),
        sha256: crypto.createHash("sha256").update(frame).digest("hex"),
      };
    }),
  };
};

const valueOf = (item) => {
  switch (item.ValueType) {
    case "NUM": {
      const measured = first(item.MeasuredValueSequence);
      return `${Number(measured.NumericValue)} ${code(measured.MeasurementUnitsCodeSequence)}`;
    }
    case "CODE":
      return code(item.ConceptCodeSequence);
    case "TEXT":
      return item.TextValue;
    case "UIDREF":
      return item.UID;
    case "IMAGE":
    case "COMPOSITE":
      return list(item.ReferencedSOPSequence).map((one) => one.ReferencedSOPInstanceUID).join(" ");
    default:
      return "";
  }
};

const tree = (item, depth, lines) => {
  lines.push([depth, item.ValueType, code(item.ConceptNameCodeSequence), valueOf(item)]);
  for (const child of list(item.ContentSequence)) tree(child, depth + 1, lines);
  return lines;
};

const told = process.argv.slice(3).map((file) => {
  const dataset = naturalized(file);
  const common = { sopClass: dataset.SOPClassUID, patient: dataset.PatientID, seriesDescription: dataset.SeriesDescription };
  if (dataset.SegmentSequence) return { ...common, ...segmentation(dataset) };
  if (dataset.ValueType) return { ...common, content: tree(dataset, 0, []) };
  return { ...common, rows: dataset.Rows, photometric: dataset.PhotometricInterpretation };
});
process.stdout.write(JSON.stringify(told));
