"""make_pictures.py OUT: the rarer pictures, sounds, films and scans as Pillow, OpenEXR, libsndfile, FFmpeg, pydicom and
nibabel write them."""
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import nibabel
import numpy as np
import OpenEXR
import pydicom
import soundfile
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

out = Path(sys.argv[1])
chooser = np.random.default_rng(1)

for mode, channels in (("RGB", 3), ("RGBA", 4), ("L", 1)):
    pixels = chooser.integers(0, 256, size=(37, 53, channels), dtype=np.uint8).squeeze()
    pixels[5:30, 5:40] = 7
    image = Image.fromarray(pixels, mode)
    name = mode.lower()
    image.save(out / f"{name}.jp2")
    image.save(out / f"{name}_tiles.jp2", tile_size=(32, 32), comment="a picture")
    image.save(out / f"{name}.j2k", irreversible=True, quality_layers=[20])
    image.save(out / f"{name}.tga")
    image.save(out / f"{name}_packed.tga", compression="tga_rle", id_section=b"made for a test")
    if mode != "L":
        image.save(out / f"{name}.dds")
        image.save(out / f"{name}_dxt5.dds", pixel_format="DXT5")
        image.save(out / f"{name}.qoi")
    if mode != "RGBA":
        image.save(out / f"{name}.pnm")
    image.convert("RGB").save(out / f"{name}.avif")
Image.fromarray(pixels).convert("1").save(out / "bits.pbm")
Image.fromarray(chooser.random((20, 30)).astype(np.float32)).save(out / "float.pfm")
Image.fromarray(pixels).convert("P").save(out / "palette.tga")
Image.fromarray(chooser.integers(0, 65536, size=(20, 30), dtype=np.uint16)).save(out / "deep.pgm")

planes = chooser.random((40, 60, 3)).astype(np.float32)
for name, compression in (("none", OpenEXR.NO_COMPRESSION), ("zips", OpenEXR.ZIPS_COMPRESSION), ("zip", OpenEXR.ZIP_COMPRESSION),
                          ("piz", OpenEXR.PIZ_COMPRESSION), ("rle", OpenEXR.RLE_COMPRESSION), ("dwaa", OpenEXR.DWAA_COMPRESSION)):
    OpenEXR.File({"compression": compression, "type": OpenEXR.scanlineimage}, {"RGB": planes}).write(str(out / f"{name}.exr"))
OpenEXR.File({"type": OpenEXR.tiledimage, "tiles": OpenEXR.TileDescription()}, {"RGB": planes}).write(str(out / "tiles.exr"))
OpenEXR.File([OpenEXR.Part({"type": OpenEXR.scanlineimage}, {"RGB": planes}, "left"),
              OpenEXR.Part({"type": OpenEXR.scanlineimage}, {"Z": planes[:, :, 0]}, "depth")]).write(str(out / "parts.exr"))

sound = (chooser.random((4000, 2)) * 0.2).astype(np.float32)
for kind, subtype in (("CAF", "PCM_16"), ("CAF", "ALAC_16"), ("W64", "PCM_24"), ("W64", "FLOAT")):
    soundfile.write(out / f"{subtype}.{kind.lower()}", sound, 16000, format=kind, subtype=subtype)

ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc=duration=1:size=128x96:rate=25"]
for name, options in (("film.mxf", ["-c:v", "mpeg2video"]), ("film.mpg", ["-c:v", "mpeg1video"]), ("film.vob", ["-c:v", "mpeg2video"])):
    subprocess.run(ffmpeg + options + [str(out / name)], check=True)


def scan(syntax):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    meta.TransferSyntaxUID = syntax
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.Modality = "Nobody^At All", "OT"
    data.Rows, data.Columns, data.BitsAllocated, data.BitsStored, data.HighBit = 32, 48, 8, 8, 7
    data.SamplesPerPixel, data.PixelRepresentation, data.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "T-1", "nothing"
    data.AnatomicRegionSequence = Sequence([code, code])
    data.AnatomicRegionSequence.is_undefined_length = True
    return data


for name, syntax in (("explicit", ExplicitVRLittleEndian), ("implicit", ImplicitVRLittleEndian), ("big", ExplicitVRBigEndian)):
    data = scan(syntax)
    data.PixelData = chooser.integers(0, 256, size=(32, 48), dtype=np.uint8).tobytes()
    data["PixelData"].VR = "OB"
    pydicom.dcmwrite(out / f"{name}.dcm", data, implicit_vr=syntax is ImplicitVRLittleEndian,
                     little_endian=syntax is not ExplicitVRBigEndian, enforce_file_format=True)
data = scan(JPEGBaseline8Bit)
Image.fromarray(np.zeros((32, 48), np.uint8)).save(out / "plain.jpg")
data.PixelData = pydicom.encaps.encapsulate([(out / "plain.jpg").read_bytes()])
data["PixelData"].VR = "OB"
data["PixelData"].is_undefined_length = True
pydicom.dcmwrite(out / "jpeg.dcm", data, enforce_file_format=True)

for dtype in (np.int16, np.float32, np.uint8):
    voxels = (chooser.random((7, 8, 9)) * 100).astype(dtype)
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        image = kind(voxels, np.eye(4), dtype=dtype)
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"made for a test"))
        nibabel.save(image, out / f"{kind.__name__}_{np.dtype(dtype).name}.nii")
        nibabel.save(image, out / f"{kind.__name__}_{np.dtype(dtype).name}.nii.gz")
nibabel.save(nibabel.Nifti1Pair(voxels, np.eye(4), dtype=np.uint8), out / "pair.hdr")
