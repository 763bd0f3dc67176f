"""``mpt push PROMPT owner/name``."""

from __future__ import annotations

from mpt.cli.options import Parser


def run_push_command(arguments: list[str]) -> None:
    """One prompt to a repository on the Hugging Face hub."""
    parser = Parser(
        prog="mpt push",
        description="A prompt to a repository on the Hugging Face hub, with a model card; mpt predict hub:owner/name "
        "FILE answers by it. A whole library: mpt library push.",
    )
    parser.add_argument("prompt", metavar="PROMPT", help="folder of a prompt or run, or LIBRARY:ENTRY")
    parser.add_argument("repository", help="owner/name; made if it is not there")
    parser.add_argument("--private", action="store_true", help="if it is made, so that only its owner sees it")
    options = parser.parse_args(arguments)
    from mpt.use.export.push import push_prompt

    done = push_prompt(options.prompt, options.repository, options.private)
    print(f"pushed to {options.repository}: {', '.join(done.files)}")
    if done.left:
        print(f"not pushed: {', '.join(done.left)}")
    if not done.base:
        print("its model is not one of the hub's, so others need to have it and to name it by --backbone")
