// Jest's global set-up of the projects that need servers. Jest demands the default export.
import { startTestServers } from '../devstack/test-servers.ts';

export default async function setUpServers({ rootDir }: { rootDir: string }): Promise<void> {
  await startTestServers(rootDir);
}
