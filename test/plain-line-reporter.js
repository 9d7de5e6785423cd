// Prints the plain closing line that CI reads, `N passed, N failed`, as the very last one.
export default class PlainLineReporter {
  onRunComplete(_contexts, results) {
    // A suite that could not start has no failed test of its own: it counts as one failure.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    // Jest's own summary comes after every reporter, so wait for the end of the process.
    process.once('exit', () => {
      process.stdout.write(`\n${results.numPassedTests} passed, ${failed} failed\n`);
    });
  }
}
