#include "unit/sim/world.h"

#include <google/protobuf/message_lite.h>
#include <json/json.h>

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include "lib/base/backoff.h"
#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/json/dom.h"

namespace fairlead::sim {

namespace store = endpoint::store;
namespace registry = endpoint::registry;

using base::StrCat;

namespace {

// What an agent sends of an object, and so what its row must be: the object after the cut rules,
// which stand here a second time on purpose.
std::string Cut(const std::string& text, bool secret) {
  auto value = json::ParseJson(text);
  FAIRLEAD_CHECK(value.ok());
  value->removeMember("apiVersion");
  value->removeMember("kind");
  (*value)["metadata"].removeMember("resourceVersion");
  if (secret) {
    value->removeMember("data");
    value->removeMember("stringData");
  }
  return json::WriteJson(*value);
}

// The same without any cut: what arrived too much must be seen.
std::string Whole(const std::string& text) {
  const auto value = json::ParseJson(text);
  return value.ok() ? json::WriteJson(*value) : StrCat("not JSON: ", text);
}

std::string Word(const store::Batch& batch, const store::Change& change) {
  return StrCat(change.upsert ? "+" : "-", batch.kinds[change.kind].resource, " ",
                change.name_space, "/", change.name, "@", change.history, ":",
                change.resource_version);
}
std::string Word(const store::Batch& batch, const store::Checkpoint& at) {
  return StrCat("checkpoint ", batch.kinds[at.kind].resource, " \"", at.watch, "\" ", at.history,
                ":", at.resource_version);
}
std::string Word(const store::Batch& batch, const store::SnapshotBegin& begin) {
  return StrCat("begin ", batch.kinds[begin.kind].resource, " \"", begin.watch, "\" h",
                begin.history);
}
std::string Word(const store::Batch&, const store::SnapshotPage& page) {
  std::string text = "page";
  for (const store::SnapshotItem& item : page.items) {
    text += StrCat(" ", item.name_space, "/", item.name, "@", item.resource_version,
                   item.has_body ? "*" : "");
  }
  return text;
}
std::string Word(const store::Batch&, const store::SnapshotEnd& end) {
  return StrCat("end ", end.resource_version);
}
std::string Word(const store::Batch& batch, const store::ConfirmHeld& confirm) {
  return StrCat("confirm ", batch.kinds[confirm.kind].resource);
}
std::string Word(const store::Batch& batch, const store::Rescope& rescope) {
  return StrCat("rescope ", batch.kinds[rescope.kind].resource);
}

}  // namespace

std::string World::Describe(const store::Batch& batch, const store::BatchResult& result) {
  std::string text = StrCat("batch ", batch.shard.account.lo - 1, " t", batch.term, " #", batch.seq,
                            result.status.ok() ? ":" : " FAILED:");
  for (const store::Entry& entry : batch.entries) {
    text += StrCat(" [", std::visit([&](const auto& one) { return Word(batch, one); }, entry), "]");
  }
  for (const store::Want& want : result.wants) text += StrCat(" wants ", want.names.size());
  return StrCat(text, " written ", result.written, " deleted ", result.deleted);
}

World::World(const WorldOptions& options) : options_(options), random_(options.seed) {
  for (size_t i = 0; i < options.accounts; ++i) {
    auto cluster = std::make_unique<fakes::FakeKube>();
    cluster->Serve({"", "v1", "pods", "Pod"});
    cluster->Serve({"", "v1", "configmaps", "ConfigMap"});
    cluster->Serve({"", "v1", "secrets", "Secret"});
    cluster->Serve({"example.com", "v1", "widgets", "Widget"});
    cluster->set_most_per_page(options.most_per_page);
    clusters_.push_back(std::move(cluster));
    reachable_.push_back(true);
    generations_.push_back(1);
  }
  // With CODEC_NONE a batch's payload stands in its message as it is.
  network_.Observe([this](const google::protobuf::MessageLite& message) {
    if (leak_.empty() && message.SerializeAsString().find(kSecretValue) != std::string::npos) {
      leak_ = StrCat("a ", message.GetTypeName(), " held the value of a Secret");
    }
  });
}

World::~World() {
  agents_.clear();
  CrashEndpoint();
  loop_.Run();
}

registry::Account World::AccountOf(size_t account) {
  registry::Account made;
  made.uid = Uid(account);
  made.name = StrCat("account-", account);
  made.owner = "file";
  made.hash = StrCat("hash-", generations_[account]);
  registry::AccountSpec& spec = made.spec;
  spec.identities = {"agent"};
  spec.level_cluster = !options_.per_namespace;
  if (options_.per_namespace) {
    spec.access_namespaces.assign(std::begin(kNamespaces), std::end(kNamespaces));
  }
  spec.kinds = {"pod", "configMap", "secret"};
  spec.custom_resources = {{"Widget.example.com", true}};
  spec.max_delete_percent = options_.most_delete_percent;
  spec.max_delete_count = options_.most_delete_count;
  return made;
}

void World::StartEndpoint() {
  auto opened = store::Store::Open({.sqlite_path = options_.database}, &loop_.clock());
  FAIRLEAD_CHECK(opened.ok());
  store_ = *std::move(opened);
  reader_ = *store_->OpenReader();
  for (size_t i = 0; i < clusters_.size(); ++i) {
    FAIRLEAD_CHECK(store_->CreateShard({Uid(i), 0}).ok());
  }
  writer_ = std::make_unique<LoopWriter>(
      store_.get(), &loop_, [this] { return base::milliseconds(base::NextRandom(&random_) % 8); });
  if (observer_) {
    writer_->Observe([this](const store::Batch& batch, const store::BatchResult& result) {
      observer_(Describe(batch, result));
    });
  }
  endpoint::HubOptions hub;
  hub.concurrent_snapshots = options_.concurrent_snapshots;
  hub.scrub = [this](const store::ScrubRequest& rows, const std::function<void()>& done) {
    const auto page =
        store::ScrubRows(store_->connection(), rows);  // all of it: clusters are small
    FAIRLEAD_CHECK(page.ok() && !page->more);
    FAIRLEAD_CHECK(store::MarkDamaged(store_->connection(), page->damaged).ok());
    done();
  };
  hub_ = std::make_unique<endpoint::Hub>(hub, writer_.get(), nullptr, &board_, &loop_);
  hub_->Start();
  for (size_t i = 0; i < clusters_.size(); ++i) hub_->PutAccount(AccountOf(i));
  network_.Serve(hub_.get());
}

void World::CrashEndpoint() {
  network_.Serve(nullptr);
  hub_.reset();
  writer_.reset();
  reader_.reset();
  store_.reset();
}

void World::ChangeAccount(size_t account) {
  ++generations_[account];
  if (hub_) hub_->PutAccount(AccountOf(account));
}

void World::StartAgent(size_t slot) {
  if (agents_.size() <= slot) agents_.resize(slot + 1);
  auto process = std::make_unique<AgentProcess>(agent::RecentHashes(options_.recent_bytes));
  const std::string instance = StrCat("instance-", ++processes_);
  agent::UplinkOptions uplink;
  uplink.endpoints = {"endpoint:1"};
  uplink.backoff.most = base::seconds(5);
  uplink.seed = base::NextRandom(&random_);
  process->agent = std::make_unique<agent::Agent>(
      agent::AgentOptions{.version = "sim", .instance_id = instance}, uplink,
      [this, instance](const std::string&) {
        return network_.Connect({.identity = "agent", .address = instance});
      },
      &loop_);
  for (size_t i = 0; i < clusters_.size(); ++i) {
    agent::AccountOptions account;
    account.name = StrCat("account-", i);
    account.access.scheme = "http";
    account.access.host = "cluster";
    account.outbox.pending_bytes = options_.pending_bytes;
    account.outbox.batch_raw_bytes = options_.batch_bytes;
    account.outbox.checkpoint_interval = options_.checkpoint_interval;
    // Compressed sizes depend on the ids, which are random.
    account.outbox.codec = agent::v1::CODEC_NONE;
    account.seed = base::NextRandom(&random_);
    account.recent = &process->recent;
    auto transport = std::make_unique<fakes::MemoryTransport>(clusters_[i].get(), &loop_);
    transport->set_unreachable(!reachable_[i]);
    transport->set_delay([this] {
      if (answer_delay_ <= base::Duration::zero()) return base::Duration::zero();
      return base::Duration(static_cast<int64_t>(base::NextRandom(&random_) %
                                                 static_cast<uint64_t>(answer_delay_.count())));
    });
    process->transports.push_back(transport.get());
    process->agent->AddAccount(account, std::move(transport));
  }
  process->agent->Start();
  agents_[slot] = std::move(process);
}

void World::CrashAgent(size_t slot) { agents_[slot].reset(); }

void World::SetReachable(size_t account, bool reachable) {
  reachable_[account] = reachable;
  for (const auto& process : agents_) {
    if (process) process->transports[account]->set_unreachable(!reachable);
  }
}

std::string World::Difference() {
  if (!leak_.empty()) return leak_;
  for (size_t i = 0; i < clusters_.size(); ++i) {
    if (std::string found = DifferenceOf(i); !found.empty()) {
      return StrCat("account-", i, ": ", found);
    }
  }
  return "";
}

std::string World::DifferenceOf(size_t account) {
  if (!reader_) return "the endpoint is down";
  std::map<std::string, std::string> wanted;  // "resource namespace/name" -> content
  for (const char* kind : kKinds) {
    for (const auto& [name_space, name] : clusters_[account]->Names(kind)) {
      wanted[StrCat(kind, " ", name_space, "/", name)] =
          Cut(clusters_[account]->Text(kind, name_space, name), std::string("secrets") == kind);
    }
  }
  store::ObjectPageRequest all;
  all.filter.account = Uid(account);
  all.limit = 5000;
  const auto page = reader_->Objects(all);
  if (!page.ok()) return page.status().ToString();
  for (const store::StoredObject& row : page->objects) {
    const std::string name =
        StrCat(row.kind.resource, " ", row.object.name_space, "/", row.object.name);
    const auto found = wanted.find(name);
    if (found == wanted.end()) {
      if (!row.held) return StrCat(name, " has a row and is not there");
      continue;
    }
    if (row.held) return StrCat(name, " is there and its row is held");
    if (Whole(row.body) != found->second) {
      return StrCat(name, " should be ", found->second, " and its row is ", row.body);
    }
    wanted.erase(found);
  }
  return wanted.empty() ? "" : StrCat(wanted.begin()->first, " has no row");
}

bool World::Listed(size_t account) {
  if (!reader_) return false;
  const auto positions = reader_->Positions({Uid(account), 0}, false);
  return positions.ok() && positions->size() == Watches() &&
         std::none_of(positions->begin(), positions->end(),
                      [](const store::Position& one) { return one.resource_version.empty(); });
}

std::string World::PositionsBehind() {
  for (size_t i = 0; i < clusters_.size(); ++i) {
    const auto positions = reader_->Positions({Uid(i), 0}, false);
    if (!positions.ok()) return positions.status().ToString();
    if (positions->size() != Watches()) {
      return StrCat("account-", i, " has ", positions->size(), " positions");
    }
    for (const store::Position& one : *positions) {
      const std::string name =
          StrCat("account-", i, " ", one.kind.resource, " \"", one.watch, "\"");
      if (one.resource_version != std::to_string(clusters_[i]->version())) {
        return StrCat(name, " is at ", one.resource_version, " of ", clusters_[i]->version());
      }
      const auto sums =
          reader_->Recompute({Uid(i), 0}, one.kind.group, one.kind.resource, one.watch);
      if (!sums.ok()) return sums.status().ToString();
      if (one.count != sums->count || one.sum != sums->sum) {
        return StrCat(name, " counts ", one.count, " rows of ", sums->count);
      }
    }
  }
  return "";
}

}  // namespace fairlead::sim
