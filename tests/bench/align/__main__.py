"""Accuracy and cost of `cicatrix align` on pairs with exact truth: `python tests/bench/align COMMAND`."""

import argparse

import effect
import pairs
import run
import table
import wrong

COMMANDS = {
    "gen": (pairs, "make pairs with truth"),
    "wrong": (wrong, "list wrong pairs from the pairs of a folder"),
    "run": (run, "register the pairs with cicatrix and its peers"),
    "effect": (effect, "measure what the registration takes from a scar that shrinks or fades"),
    "table": (table, "print what was measured beside the targets"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests/bench/align", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(main=module.main)
    args = parser.parse_args()
    args.main(args)


if __name__ == "__main__":
    main()
