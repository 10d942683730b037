# SPDX-License-Identifier: MIT
"""`simharness build`: the C of a network, in a directory."""

from __future__ import annotations

import argparse

from simharness.commands.options import add_code_options, add_machine_options, add_place_option
from simharness.commands.talk import Commands, Talk, add_talk_options


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "build",
        help="write a network as stand-alone C99",
        description="Write MODEL as readable, stand-alone C99: model, weights, header and the "
        "kernels it needs. The paths of the files go to stdout.",
    )
    parser.add_argument("model", metavar="MODEL", help="an .onnx file, or zoo:NAME")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="made if absent")
    parser.add_argument(
        "--renode", metavar="DIR",
        help="also write ELF, .repl and .resc there: 'renode DIR/NAME.resc' runs the network once",
    )  # fmt: skip
    parser.add_argument("--name", help="prefix of every symbol and file (default: the file's name)")
    add_machine_options(parser)
    add_place_option(parser)
    add_code_options(parser)
    add_talk_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace, talk: Talk) -> int:
    """Generate and write."""
    with talk.progress(1) as progress:
        progress("generating C")
        import simharness

        paths = simharness.build(
            arguments.model,
            arguments.output,
            core=arguments.core,
            board=arguments.board,
            optimize=arguments.optimize,
            requant=arguments.requant,
            planner=arguments.planner,
            reference_kernels=arguments.reference_kernels,
            patches=arguments.patches,
            ram_limit_bytes=arguments.ram_limit_bytes,
            place=arguments.place,
            name=arguments.name,
            renode=arguments.renode,
        )
    print(*paths, sep="\n")
    return 0
