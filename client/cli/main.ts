#!/usr/bin/env node
// The `pawl` executable: one command line in, one exit code out.
import { processIo } from './cli-io.ts';
import { runCli } from './program.ts';

process.exitCode = await runCli(process.argv.slice(2), processIo());
