"""Predict an image with an exported network: python onnx_inference.py g2ci.onnx IMAGE OUT.png."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

network, source, out = sys.argv[1:]
session = onnxruntime.InferenceSession(network, providers=['CPUExecutionProvider'])
about = session.get_modelmeta().custom_metadata_map
image = Image.open(source).convert('RGB')
resized = image.resize(json.loads(about['size']), Image.Resampling.BILINEAR)
batch = np.asarray(resized, np.float32).transpose(2, 0, 1)[None] / 255
(logits,) = session.run(['logits'], {'image': batch})
index = Image.fromarray(logits[0].argmax(0).astype(np.uint8))
index.putpalette(np.ravel(json.loads(about['palette'])).tolist())
# class indices with the classes' colours as their palette
index.resize(image.size, Image.Resampling.NEAREST).save(out)
