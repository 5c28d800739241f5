#include "endpoint/store/schema.h"

namespace fairlead::endpoint::store {
namespace {

// Rows hang on a kind, kinds on a shard, shards on an account's uid: no row is reached but through
// its account (invariant 6). Shard and kind numbers are never used twice.
//
// objects is looked up by (kind, namespace, name), which is the object key in the clear: lists
// arrive in that order, so a snapshot fills pages one after the other instead of at random. The key
// hash is kept for sums. objects_seq finds anchors and, later, what changed since a cursor.
//
// IF NOT EXISTS: MariaDB commits each of these statements by itself, so that a migration that was
// interrupted begins again.
//
// A kind whose shard is 0 was taken out of its account: nothing finds its rows any more, and the
// reaper removes them in small steps.
constexpr char kFirst[] = R"sql(
CREATE TABLE IF NOT EXISTS meta (name ${name} NOT NULL PRIMARY KEY, value ${bytes} NOT NULL);

CREATE TABLE IF NOT EXISTS accounts (
  uid ${key} NOT NULL PRIMARY KEY,
  name ${name} NOT NULL,
  folded_name ${name} NOT NULL UNIQUE,
  owner ${text} NOT NULL,
  owner_uid ${text} NOT NULL,
  generation ${int} NOT NULL,
  hash ${text} NOT NULL,
  spec ${text} NOT NULL,
  deleted_ms ${int} NOT NULL);

CREATE TABLE IF NOT EXISTS shards (
  id ${id},
  account ${key} NOT NULL,
  shard ${int} NOT NULL,
  store ${int} NOT NULL,
  term ${int} NOT NULL,
  holder ${text} NOT NULL,
  last_seq ${int} NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS shards_account ON shards (account, shard);

CREATE TABLE IF NOT EXISTS kinds (
  id ${id},
  shard ${int} NOT NULL,
  api_group ${name} NOT NULL,
  resource ${name} NOT NULL,
  kind ${text} NOT NULL,
  version ${text} NOT NULL,
  namespaced ${int} NOT NULL);
CREATE INDEX IF NOT EXISTS kinds_shard ON kinds (shard, api_group, resource);

CREATE TABLE IF NOT EXISTS positions (
  kind ${int} NOT NULL,
  watch ${name} NOT NULL,
  history ${int} NOT NULL,
  resource_version ${text} NOT NULL,
  rules_hash ${bytes} NOT NULL,
  row_count ${int} NOT NULL,
  row_sum ${bytes} NOT NULL,
  fresh_ms ${int} NOT NULL,
  verified_ms ${int} NOT NULL,
  PRIMARY KEY (kind, watch));

CREATE TABLE IF NOT EXISTS objects (
  id ${id},
  kind ${int} NOT NULL,
  namespace ${name} NOT NULL,
  name ${name} NOT NULL,
  object_key ${key} NOT NULL,
  uid ${text} NOT NULL,
  history ${int} NOT NULL,
  resource_version ${text} NOT NULL,
  content_hash ${key} NOT NULL,
  application ${name} NOT NULL,
  seq ${int} NOT NULL,
  held ${int} NOT NULL,
  changed_ms ${int} NOT NULL,
  body ${bytes} NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS objects_name ON objects (kind, namespace, name);
CREATE INDEX IF NOT EXISTS objects_seq ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_application ON objects (application)${partial application <> ''};
CREATE INDEX IF NOT EXISTS objects_held ON objects (kind)${partial held <> 0};

CREATE TABLE IF NOT EXISTS tombstones (
  kind ${int} NOT NULL,
  namespace ${name} NOT NULL,
  name ${name} NOT NULL,
  history ${int} NOT NULL,
  resource_version ${text} NOT NULL,
  seq ${int} NOT NULL,
  deleted_ms ${int} NOT NULL,
  PRIMARY KEY (kind, namespace, name));
CREATE INDEX IF NOT EXISTS tombstones_age ON tombstones (deleted_ms);

CREATE TABLE IF NOT EXISTS enrolment_tokens (
  hash ${name} NOT NULL PRIMARY KEY,
  identity ${text} NOT NULL,
  expires_ms ${int} NOT NULL,
  spent_ms ${int} NOT NULL);

${view} account_objects AS
  SELECT a.name AS account, k.api_group, k.resource, k.kind, o.namespace, o.name, o.uid, o.history,
         o.resource_version, o.application, o.seq, o.held, o.changed_ms, ${hex o.content_hash} AS content_hash,
         length(o.body) AS stored_bytes
  FROM objects o JOIN kinds k ON k.id = o.kind JOIN shards s ON s.id = k.shard
       JOIN accounts a ON a.uid = s.account;
)sql";

// Objects as they are at the position, so that a start can tell whether the API server still is of
// the history of it: rows may lag behind changes that changed nothing of the content.
constexpr char kAnchors[] = "ALTER TABLE positions ${add} anchors ${bytes}";

// What several replicas of the endpoint share. A replica without a row here is none: its shards are
// free, what it waits for and its boards mean nothing. shards.replica and accounts.version are NULL
// where no endpoint of this version has written.
constexpr char kReplicas[] = R"sql(
CREATE TABLE IF NOT EXISTS counters (name ${name} NOT NULL PRIMARY KEY, value ${int} NOT NULL);

CREATE TABLE IF NOT EXISTS replicas (
  id ${name} NOT NULL PRIMARY KEY,
  beat ${int} NOT NULL,
  board ${int} NOT NULL);

CREATE TABLE IF NOT EXISTS waiting (
  replica ${name} NOT NULL,
  account ${key} NOT NULL,
  shard ${int} NOT NULL,
  PRIMARY KEY (replica, account, shard));
CREATE INDEX IF NOT EXISTS waiting_account ON waiting (account, shard);

CREATE TABLE IF NOT EXISTS boards (
  replica ${name} NOT NULL,
  account ${key} NOT NULL,
  version ${int} NOT NULL,
  live ${text} NOT NULL,
  PRIMARY KEY (replica, account));
CREATE INDEX IF NOT EXISTS boards_version ON boards (replica, version);

ALTER TABLE shards ${add} replica ${name};
ALTER TABLE accounts ${add} version ${int};
CREATE INDEX IF NOT EXISTS accounts_version ON accounts (version);
)sql";

// Bearer tokens with which clients use an account's cluster through the gateway; expires_ms 0 =
// never.
constexpr char kAccountTokens[] = R"sql(
CREATE TABLE IF NOT EXISTS account_tokens (
  hash ${name} NOT NULL PRIMARY KEY,
  account ${key} NOT NULL,
  name ${name} NOT NULL,
  created_ms ${int} NOT NULL,
  expires_ms ${int} NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS account_tokens_name ON account_tokens (account, name);
)sql";

constexpr sql::Migration kMigrations[] = {
    {1, 1, "accounts, shards, kinds, positions, objects, tombstones, enrolment tokens", kFirst},
    {2, 1, "anchors of a position", kAnchors},
    {3, 1, "replicas of the endpoint", kReplicas},
    {4, 1, "tokens of accounts", kAccountTokens},
};

}  // namespace

std::span<const sql::Migration> Migrations() { return kMigrations; }

}  // namespace fairlead::endpoint::store
