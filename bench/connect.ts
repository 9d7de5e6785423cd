// A connection to Temporal that takes long histories: with transcripts in them one page is more than gRPC's usual 4 MB.
import { Client, Connection } from '@temporalio/client';
import type { CleanUps } from '../testing/clean-ups.ts';

const PAGE_BYTES_MAX = 64 * 1_024 * 1_024;

export async function connectClient(address: string, cleanUps: CleanUps): Promise<Client> {
  const connection = await Connection.connect({
    address,
    channelArgs: { 'grpc.max_receive_message_length': PAGE_BYTES_MAX },
  });
  cleanUps.add(() => connection.close());
  return new Client({ connection });
}
