// Jest's global teardown of the projects that need servers. Jest demands the default export.
import { stopTestServers } from '../devstack/test-servers.ts';

export default async function tearDownServers(): Promise<void> {
  await stopTestServers();
}
