from pathlib import Path
from runpy import run_path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
ABOUT = run_path(str(ROOT / "spacy_bga" / "about.py"))
TEMPLATE = run_path(str(ROOT / "spacy_bga" / "starter" / "template.py"))

SPACY_TRANSFORMERS = ["spacy-transformers>=1.4.0,<3"]
ONNX = ["onnx>=1.16", "onnxruntime>=1.19"]
STARTER = [*SPACY_TRANSFORMERS, *ONNX, "build>=1.2"]
OPENVINO = ["onnx>=1.16", "openvino>=2024.4"]
SPLITS = ["ImageHash>=4.3"]
FIGURES = ["matplotlib>=3.8"]
TENSORBOARD = ["tensorboard>=2.16"]
WANDB = ["wandb>=0.20"]
MLFLOW = ["mlflow>=3"]
DEMO = ["streamlit>=1.60"]
FUZZ = ["hypothesis>=6.100", "html5lib>=1.1", "coverage>=7.10"]
# Version 5 needs a huggingface-hub that transformers 4.53 does not take.
DATASETS = ["datasets>=3.2,<5"]
# Its torchvision has to be the build that goes with torch.
TIMM = ["timm>=1.0.20"]
PARQUET = ["pyarrow>=15"]
SERVE = ["fastapi>=0.133", "starlette>=1.10", "uvicorn>=0.30", "prometheus-client>=0.20"]
RAY = [*PARQUET, *SERVE, "ray[data,serve]>=2.55"]
BENCHMARK = [*SPACY_TRANSFORMERS, "psutil>=5.9", "threadpoolctl>=3.5"]
DOCS = ["mkdocs-material>=9.6,<10", "mkdocstrings[python]>=1.0"]
TEST = [
    *STARTER,
    *OPENVINO,
    *SPLITS,
    *FIGURES,
    *TENSORBOARD,
    *BENCHMARK,
    *DEMO,
    *DOCS,
    *FUZZ,
    *RAY,
    "httpx>=0.27",
    "schemathesis>=4",
    "pytest>=8",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "pytorch-crf>=0.7.2",
    "seqeval>=1.2.2",
    "selenium>=4.20",
    "markdown-it-py>=3",
    "sybil>=9",
]


class BuildWithTemplate(build_py):
    """Puts project.yml and configs into the package as well, for those who install it and have no clone."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # which finds them in the clone
            return
        folder = Path(self.build_lib) / "spacy_bga" / "starter" / TEMPLATE["INSTALLED"]
        for path in TEMPLATE["template_files"](ROOT):
            self.mkpath(str(folder / path.parent))
            self.copy_file(str(ROOT / path), str(folder / path))


setup(
    name=ABOUT["__title__"],
    version=ABOUT["__version__"],
    description="Multimodal named entity recognition for spaCy by bidirectional generative alignment (BGA-MNER)",
    long_description=(ROOT / "README.md").read_text(encoding="utf8") if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["spacy_bga", "spacy_bga.*"]),
    package_data={"spacy_bga": ["py.typed"], "spacy_bga.starter": ["data/*.json"], "spacy_bga.viewer": ["static/*"]},
    cmdclass={"build_py": BuildWithTemplate},
    python_requires=">=3.11",
    install_requires=[
        "spacy>=3.8.13,<3.9",
        "thinc>=8.3.12,<8.4",
        "torch>=2.5,<2.16",
        "transformers>=4.49,<6",
        "pillow>=10.3",
        "safetensors>=0.4.1",
    ],
    extras_require={
        "starter": STARTER,
        "spacy-transformers": SPACY_TRANSFORMERS,
        "onnx": ONNX,
        "openvino": OPENVINO,
        "splits": SPLITS,
        "figures": FIGURES,
        "datasets": DATASETS,
        "timm": TIMM,
        "tensorboard": TENSORBOARD,
        "wandb": WANDB,
        "mlflow": MLFLOW,
        "benchmark": BENCHMARK,
        "demo": DEMO,
        "parquet": PARQUET,
        "serve": SERVE,
        "ray": RAY,
        "fuzz": [*FUZZ, *ONNX, "atheris>=3.0"],
        "docs": DOCS,
        "test": TEST,
        "dev": [*TEST, "ruff>=0.8", "mypy>=1.11", "mutmut>=3.8", "pip-audit>=2.9", "zizmor>=1.20"],
    },
    entry_points={
        "spacy_factories": ["bga_ner = spacy_bga.pipeline.bga_ner:make_bga_ner"],
        "spacy_architectures": [
            "spacy_bga.BGAModel.v1 = spacy_bga.pipeline.architectures_v1:build_bga_model_v1",
            "spacy_bga.BGAModel.v2 = spacy_bga.pipeline.architectures:build_bga_model",
            "spacy_bga.BGATok2Vec.v1 = spacy_bga.pipeline.tok2vec:build_bga_tok2vec",
        ],
        "spacy_readers": [
            "spacy_bga.ImageCorpus.v1 = spacy_bga.corpus.readers:create_image_corpus",
            "spacy_bga.MixedCorpus.v1 = spacy_bga.corpus.readers:create_mixed_corpus",
        ],
        "spacy_batchers": ["spacy_bga.batch_by_length.v1 = spacy_bga.corpus.batcher:create_length_batcher"],
        "spacy_callbacks": [
            "spacy_bga.add_labels.v1 = spacy_bga.pipeline.label_callback:create_add_labels",
            "spacy_bga.complete_meta.v1 = spacy_bga.sharing.meta:create_complete_meta",
        ],
        "spacy_loggers": [
            "spacy_bga.ConsoleLogger.v1 = spacy_bga.pipeline.loggers:console_logger",
            "spacy_bga.TensorBoardLogger.v1 = spacy_bga.pipeline.tensorboard:tensorboard_logger",
        ],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Text Processing :: Linguistic",
    ],
)
