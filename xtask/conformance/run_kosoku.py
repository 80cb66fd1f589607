"""Runs kosoku, a runner of the Autobahn cases that installs from PyPI anywhere, and leaves its verdicts as JSON.

    run_kosoku.py server URL     OUT [--exclude PATTERN]...   our server at URL answers
    run_kosoku.py client PROGRAM OUT [--exclude PATTERN]...   `PROGRAM ws://HOST:PORT` runs all cases by Autobahn's protocol

OUT/expected.json is the list of the cases that were to be run, OUT/index.json has the verdict of each, in the form of
Autobahn's own report. Judging them is left to `cargo xtask conformance`.
"""

import argparse
import asyncio
import fnmatch
import json
import pathlib

import kosoku
import kosoku.cases

# Seconds for a whole run of the client role.
CLIENT_LIMIT = 1800


def selected(excluded):
    return [case for case in kosoku.cases.CASES if not any(fnmatch.fnmatchcase(case, one) for one in excluded)]


async def against_client(program, cases):
    """The results, or nothing if the client ended without asking for the report."""
    async with kosoku.run_fuzzingserver(cases, host="127.0.0.1", port=0) as server:
        client = await asyncio.create_subprocess_exec(program, f"ws://127.0.0.1:{server.port}")
        results = asyncio.ensure_future(server.get_result())
        try:
            await asyncio.wait_for(client.wait(), CLIENT_LIMIT)
            # The report was asked for before the client ended, so what is still to come is short work.
            return await asyncio.wait_for(results, 10)
        except asyncio.TimeoutError:
            return []
        finally:
            if client.returncode is None:
                client.kill()
                await client.wait()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["server", "client"])
    parser.add_argument("peer")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--exclude", action="append", default=[])
    options = parser.parse_args()

    cases = selected(options.exclude)
    (options.out / "expected.json").write_text(json.dumps(cases))
    try:
        if options.role == "server":
            results = await kosoku.run_fuzzingclient(options.peer, cases)
        else:
            results = await against_client(options.peer, cases)
    except kosoku.FailureError as failure:
        results = failure.results
    verdicts = {
        result.case_id: {
            "behavior": result.behavior.value,
            "behaviorClose": result.behavior_close.value,
            "result": result.result,
            "resultClose": result.result_close,
        }
        for result in results
    }
    (options.out / "index.json").write_text(json.dumps({"wsduo": verdicts}, indent=1))


asyncio.run(main())
