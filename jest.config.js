// Jest projects by the question they answer; server projects share one Temporal and one PostgreSQL (devstack/test-servers.ts).
const common = {
  rootDir: import.meta.dirname ?? new URL('.', import.meta.url).pathname,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: {
    '^pawl$': '<rootDir>/domain/index.ts',
    '^pawl/(.*)$': '<rootDir>/$1/index.ts',
  },
  modulePathIgnorePatterns: ['<rootDir>/dist'],
};
const pure = ['unit', 'architecture', 'types', 'explore', 'sim'];
const onServers = ['contract', 'workflow', 'replay', 'crash', 'e2e'];
const servers = {
  globalSetup: '<rootDir>/test/servers-setup.ts',
  globalTeardown: '<rootDir>/test/servers-teardown.ts',
};
const project = (name, extra = {}) => ({
  ...common,
  displayName: name,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  ...extra,
});

export default {
  reporters: ['default', '<rootDir>/test/plain-line-reporter.js'],
  testTimeout: 120_000,
  // The tests mostly wait for servers and for time to pass: more than two at once starve each other.
  maxWorkers: 2,
  projects: [
    ...pure.map((name) => project(name)),
    ...onServers.map((name) => project(name, servers)),
    { ...project('examples', servers), testMatch: ['<rootDir>/examples/**/*.test.ts'] },
  ],
};
