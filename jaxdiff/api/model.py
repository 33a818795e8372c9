"""A trained run as one object: `jaxdiff.load(workdir)`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdiff import build, ranges, rng, schema
from jaxdiff import fields as config_fields
from jaxdiff.api.samples import Edited, Samples
from jaxdiff.arrays import PyTree, require
from jaxdiff.choices import hint
from jaxdiff.data import arrays, given, layout
from jaxdiff.data.batches import map_chunks
from jaxdiff.data.source import Columns
from jaxdiff.diffusion.types import Denoise, Schedule
from jaxdiff.runs import workdir as files
from jaxdiff.runs.edit import run as edits
from jaxdiff.runs.edit.inputs import EditInputs
from jaxdiff.runs.edit.request import EditRequest
from jaxdiff.runs.experiment import Experiment, open_run
from jaxdiff.runs.sample import run as sampling

# Examples whose density is worked out at once.
CHUNK = 256
# Short names of fields of config.sampler.
SHORT = {"steps": "num_steps"}


def load(workdir: str | Path, *, trust: bool = False, data: Any = None) -> "Model":
    """A trained run: its newest parameters are read now.

    Args:   trust: import the code outside jaxdiff that the run, and runs that it names,
            name in their configs: it then runs.
            data: what the run was trained on, if `fit` was given it and its rows are
            needed (most models need none).
    Errors: FileNotFoundError for what is no run or has no checkpoint; ValueError.
    """
    source = None if data is None else arrays.as_source(data)
    return Model(open_run(folder_of(workdir), source=source, trust=trust))


def folder_of(workdir: Any) -> Path:
    """A workdir as a path. Errors: ValueError for what is none."""
    require(
        isinstance(workdir, str | Path),
        f"workdir must be a text or a Path, got {workdir!r}",
    )
    return Path(workdir).expanduser()


@dataclass(frozen=True, eq=False)
class Model:
    """run: the Experiment, which has the rest: config, step, source, log."""

    run: Experiment

    @property
    def denoiser(self) -> Denoise:
        """(x_t, t, cond) -> Denoised, in model units; of other tasks, their model."""
        return self.run.model

    @property
    def schedule(self) -> Schedule:
        return self.run.schedule

    @property
    def params(self) -> PyTree:
        """The average of the parameters that samples are drawn with."""
        return self.run.params

    @property
    def class_names(self) -> tuple[str, ...]:
        """One per class, () without labels."""
        return self.run.source.class_names

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of a table's columns; () for images."""
        table = self.run.source.layout
        return table.names if table else ()

    def __repr__(self) -> str:
        source, run = self.run.source, self.run
        what = "x".join(map(str, source.shape))
        data = f"images {what}" if source.is_image else f"rows of {len(self.columns)}"
        classes = f", {len(self.class_names)} classes" if self.class_names else ""
        return f"<{run.config.task} of {data}{classes}: {run.path} at step {run.step}>"

    def sample(
        self,
        num: int = 16,
        *,
        label: int | str | None = None,
        seed: int = 0,
        fix: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Samples:
        """Draw samples, the same as `launch.sample` with these fields: bit for bit
        with as many devices.

        Args:   num: how many.  label: one class, by name or number; by default all.
                seed: sample i depends on (seed, i), and on its class, alone.
                fix: {column: value} of a table, kept while the rest is sampled.
                fields: of config.sampler: solver, guidance, steps (num_steps), ...
        Errors: ValueError.
        """
        _check_whole("num", num, 1, sampling.MOST)
        run = self._with(fields)
        _check_seed(seed)
        texts = _texts(fix or {})
        known = given.parse(run.source, texts) if texts else None
        if not known:
            files.check_used(run.path, run.config, files.KNOWN, files.NEEDS_KNOWN)
        sampler = run.sampler(mask=known.mask if known else None)
        cond, index = run.conditions(num, self._class(label)), np.arange(num)
        x, values = sampling.draw_values(run, sampler, seed, index, cond, known)
        return Samples(run.source, values, x, run.labels_of(cond), seed)

    def edit(
        self,
        kind: str,
        images: Any = (),
        *,
        data_index: int | Iterable[int] = (),
        label: int | str | None = None,
        mask: str | Path | np.ndarray | Sequence[Any] = "",
        num: int | None = None,
        seed: int = 0,
        strength: float | None = None,
        factor: int | None = None,
        method: str = "",
        resize: bool = False,
        **fields: Any,
    ) -> Edited:
        """Edit images, the same as `launch.edit`, whose --help explains the arguments.

        Args:   kind: vary, inpaint, invert, interpolate, upscale, colourise.
                images: u8[n, h, w, c] or one u8[h, w, c]; or paths of pictures.
                data_index: instead, numbers of the run's own data.
                mask: for inpaint bool[h, w], True where the image is drawn anew; or the
                path of a picture, or top, bottom, left, right, centre.
                fields: of config.sampler, as in `sample`.
        Errors: ValueError, FileNotFoundError.
        """
        special = {"num": num, "strength": strength, "factor": factor}
        special["method"] = method or None
        named = isinstance(mask, str | Path)
        special["mask"] = (str(mask) or None) if named else np.asarray(mask)
        special = {name: value for name, value in special.items() if value is not None}
        edits.check_taken(kind, special, flag="")
        one = isinstance(data_index, int | np.integer)
        index = [data_index] if one else [*data_index]
        _check_seed(seed)
        request = EditRequest(
            self._with(fields),
            images=_pictures(images),
            index=[str(i) for i in index],
            seed=seed,
            label=self._class(label),
            resize=resize,
            **special,
        )
        return Edited(request, edits.run(kind, request))

    def log_prob(
        self, x: Any, *, label: int | str | None = None, seed: int = 0
    ) -> np.ndarray:
        """log p(x) of each example, f32[n] in nats, by the flow's density.

        Of pixels it is a lower bound on the log-probability of their levels; of a table
        the log-density of standardised columns (model units), where categories count as
        numbers. Needs the extra "likelihood".

        Args:   x: u8[n, h, w, c]; of a table {column: values} or a DataFrame.
                label: of all; by default none is given to the model.
                seed: of noise within levels, and of the divergence's probes.
        Errors: ValueError for other shapes, and for a model of codes.
        """
        try:
            import jaxdiff.diffusion.density  # noqa: F401
            from jaxdiff.diffusion import bpd
            from jaxdiff.runs.evaluate.likelihood import default_cleanest
        except ModuleNotFoundError as error:  # of the extra
            cure = "pip install 'jaxdiff[likelihood]'"
            raise ImportError(f"log_prob needs {error.name}: {cure}") from None
        _check_seed(seed)
        run, x0 = self.run, self._encode(x)
        request = EditRequest(run, label=self._class(label))
        cond = request.conditions(EditInputs(x0, [], None, from_data=False))
        model = bpd.Model(
            run.model,
            run.schedule,
            build.make_decoder(run.source),
            default_cleanest(run.source),
            jnp.asarray(run.source.level_width, jnp.float32),
        )
        flow = jax.jit(bpd.flow)

        def of(rows):
            keys = rng.split_by(jax.random.key(seed), jnp.asarray(rows))
            some = jax.tree.map(lambda a: jnp.asarray(a[rows]), (x0, cond))
            return flow(model, keys, *some)["total"]

        bits = map_chunks(of, len(x0), min(CHUNK, len(x0)))
        return -bits * np.float32(np.log(2) * x0[0].size)

    def _encode(self, x: Any) -> np.ndarray:
        """Examples in data units as f32[n, *shape] in model units."""
        source, run = self.run.source, self.run
        require(
            run.task.kind == "denoiser" and not run.is_upsampler,
            "log_prob needs a model that makes data by itself",
        )
        if source.layout:
            x = x.values if isinstance(x, Samples) else x
            names = ", ".join(source.layout.names)
            require(
                hasattr(x, "items"),
                f"log_prob of a table needs {{column: values}} or a DataFrame, of the "
                f"columns {names}; got {type(x).__name__}",
            )
            columns: Columns = {str(name): np.asarray(v) for name, v in x.items()}
            missing = [name for name in source.layout.names if name not in columns]
            require(not missing, f"log_prob needs every column; {missing} are missing")
            return layout.encode_rows(source.layout, columns)[0]
        require(
            source.bounds is not None,
            "log_prob is of pixels and of tables; for codes see launch.evaluate",
        )
        pixels = _pictures(x)
        require(
            isinstance(pixels, np.ndarray) and pixels.shape[1:] == source.shape,
            f"log_prob needs uint8 images {source.shape}, got {np.shape(pixels)}",
        )
        levels = np.rint(np.asarray(pixels) * (source.peak / 255))
        return source.encode(levels)

    def _class(self, label: int | str | None) -> int | None:
        return None if label is None else self.run.source.class_of(str(label))

    def _with(self, fields: Mapping[str, Any]) -> Experiment:
        """The run with other fields of config.sampler. Errors: ValueError."""
        for short, name in SHORT.items():
            both = short in fields and name in fields
            require(not both, f"{short} and {name} are one field; give one of them")
        given = {SHORT.get(name, name): value for name, value in fields.items()}
        known = schema.FIELDS["sampler"]
        for name in given:
            require(
                name in known,
                f"config.sampler has no field {name!r}{hint(name, known)}",
            )
        try:
            run = self.run.with_sampler(**given)
        except TypeError as error:
            raise ValueError(f"config.sampler: {error}") from None
        ranges.check(run.config, "sampler")
        config_fields.check(run.config, run.source, self.run.config)
        return run


def _check_seed(seed: Any) -> None:
    """ValueError for what is no whole number of 32 bits: JAX takes the last 32."""
    _check_whole("seed", seed, 0, ranges.SEED)


def _check_whole(name: str, value: Any, low: int, high: int) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    require(
        whole and low <= value <= high,
        f"{name} must be a whole number from {low} to {high}, got {value!r}",
    )


def _texts(fix: Any) -> list[str]:
    """COLUMN=VALUE of each column. Errors: ValueError for what is no mapping."""
    require(isinstance(fix, Mapping), f"fix must be {{column: value}}, got {fix!r}")
    return [f"{name}={value}" for name, value in fix.items()]


def _pictures(images: Any) -> Sequence[str] | np.ndarray:
    """Paths as texts, or u8[n, h, w, c]."""
    if isinstance(images, str | Path):
        return [str(images)]
    images = getattr(images, "values", images)  # of Samples
    pixels = np.asarray(images)
    if pixels.dtype.kind in "UO" or not pixels.size:
        return [str(path) for path in images]
    require(
        pixels.dtype == np.uint8 and pixels.ndim in (3, 4),
        f"images must be uint8 (h, w, c) or (n, h, w, c), got {pixels.dtype} "
        f"{pixels.shape}",
    )
    return pixels if pixels.ndim == 4 else pixels[None]
