-- Who may send orders by webhook: the secrets that deliveries are signed with, newest first, each sealed with a key that is not in
-- the database (AES-GCM: nonce, tag, text).
create table if not exists {schema}.hooks (
    scheme  text not null,
    source  text not null,
    secrets bytea[] not null,
    set_at  timestamptz not null,
    constraint pk_hooks primary key (scheme)
);
-- Payments that belong to an order of another id: a refund names the payment, the order is the invoice.
create table if not exists {schema}.hook_payments (
    source   text not null,
    payment  text not null,
    order_id text not null,
    constraint pk_hook_payments primary key (source, payment, order_id)
);
