// A plain activity that the workflow had before: a look-up, which Temporal may repeat.

export interface Order {
  readonly orderId: string;
  readonly cents: number;
}

export function findOrder(orderId: string): Promise<Order> {
  return Promise.resolve({ orderId, cents: 2_000 });
}
