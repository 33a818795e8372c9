"""diffusers' UNet2DModel at a work of jaxdiff; needs torch and diffusers.

`launch.bench step --config=bench --against=diffusers` starts it. The network is
the one that jaxdiff's own would be written as, in channels_last.
"""

import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
from diffusers import __version__ as version
from protocol import serve, torch_ready, torch_step


def make(work):
    model = UNet2DModel.from_config(work["network"])
    model = model.to(memory_format=torch.channels_last)
    channels, rows = model.config.in_channels, model.config.num_class_embeds
    model, device, arithmetic, facts = torch_ready(torch, model, work)
    facts["program"] = f"diffusers {version}, {facts['program']}, channels_last"
    shape = work["batch"], channels, *work["shape"][:2]
    x = torch.randn(shape, device=device).to(memory_format=torch.channels_last)
    labels = torch.arange(shape[0], device=device) % rows if rows else None
    if work["what"] == "sample":
        assert not rows, "DDIMPipeline takes no labels"
        pipe = DDIMPipeline(model.eval(), DDIMScheduler()).to(device)
        pipe.set_progress_bar_config(disable=True)
        how = {"num_inference_steps": work["steps"], "output_type": "np"}

        def sample():
            with arithmetic():
                pipe(batch_size=shape[0], **how)

        return sample, facts
    if work["what"] == "forward":
        model.eval()
        times = torch.full((shape[0],), 500, device=device)

        @torch.no_grad()
        def forward():
            with arithmetic():
                return model(x, times, class_labels=labels).sample

        return forward, facts
    share = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, device=device), 0)

    def loss():
        t = torch.randint(0, 1000, (shape[0],), device=device)
        eps, a = torch.randn_like(x), share[t][:, None, None, None]
        x_t = a.sqrt() * x + (1 - a).sqrt() * eps
        with arithmetic():
            out = model(x_t, t, class_labels=labels).sample
        return ((out.float() - eps) ** 2).mean()

    return torch_step(torch, model.train(), work, loss), facts


if __name__ == "__main__":
    serve(make)
