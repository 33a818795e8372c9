"""diffusers' UNet2DModel at a work of jaxdiff; needs torch and diffusers.

`launch.bench step --config=bench --against=diffusers` starts it. The network is
the one that jaxdiff's own would be written as, in channels_last.
"""

import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
from diffusers import __version__ as version
from protocol import serve, torch_facts, torch_step


def make(work):
    model = UNet2DModel.from_config(work["network"])
    model = model.to(memory_format=torch.channels_last)
    facts = torch_facts(torch, model)
    facts["program"] = f"diffusers {version}, {facts['program']}, channels_last"
    shape = work["batch"], model.config.in_channels, *work["shape"][:2]
    x = torch.randn(shape).to(memory_format=torch.channels_last)
    rows = model.config.num_class_embeds
    labels = torch.arange(shape[0]) % rows if rows else None
    if work["what"] == "sample":
        assert not rows, "DDIMPipeline takes no labels"
        pipe = DDIMPipeline(model.eval(), DDIMScheduler())
        pipe.set_progress_bar_config(disable=True)
        how = {"num_inference_steps": work["steps"], "output_type": "np"}
        return lambda: pipe(batch_size=shape[0], **how), facts
    if work["what"] == "forward":
        model.eval()

        @torch.no_grad()
        def forward():
            return model(x, torch.full((shape[0],), 500), class_labels=labels).sample

        return forward, facts
    share = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)

    def loss():
        t, eps = torch.randint(0, 1000, (shape[0],)), torch.randn_like(x)
        a = share[t][:, None, None, None]
        out = model(a.sqrt() * x + (1 - a).sqrt() * eps, t, class_labels=labels).sample
        return ((out - eps) ** 2).mean()

    return torch_step(torch, model.train(), work, loss), facts


if __name__ == "__main__":
    serve(make)
