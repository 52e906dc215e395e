// Write a segmentation as viewers on dcmjs do: node export_seg.js DCMJS_FOLDER OUT RLE LABELMAP FILE...
// LABELMAP: one byte a voxel, a slice for each FILE, in their order; 1 is the only segment. RLE: true or false.
const fs = require("fs");

const [folder, out, rle, labelmap, ...files] = process.argv.slice(2);
const dcmjs = require(folder);

const bytesOf = (file) => {
  const raw = fs.readFileSync(file);
  return raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length);
};

const images = files.map((file) => ({ imageId: file, data: { byteArray: new Uint8Array(bytesOf(file)) } }));
const voxels = new Uint8Array(bytesOf(labelmap));
const size = voxels.length / files.length;
const labelmaps2D = [];
files.forEach((file, index) => {
  const pixelData = voxels.slice(index * size, (index + 1) * size);
  if (pixelData.some((value) => value)) labelmaps2D[index] = { segmentsOnLabelmap: [1], pixelData };
});
const tissue = { CodeValue: "T-D0050", CodingSchemeDesignator: "SRT", CodeMeaning: "Tissue" };
const segment = {
  SegmentedPropertyCategoryCodeSequence: tissue,
  SegmentNumber: 1,
  SegmentLabel: "Segment 1",
  SegmentAlgorithmType: "MANUAL",
  SegmentedPropertyTypeCodeSequence: tissue,
};
const made = dcmjs.adapters.Cornerstone.Segmentation.generateSegmentation(
  images,
  { labelmaps2D, metadata: [undefined, segment] },
  { rleEncode: rle === "true" },
);
made.arrayBuffer().then((buffer) => fs.writeFileSync(out, Buffer.from(buffer)));
