#include <json/json.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "endpoint/freshness/state.h"
#include "endpoint/rest/answers.h"
#include "endpoint/rest/service.h"
#include "endpoint/store/store.h"
#include "lib/base/strings.h"

// The part of the REST API that says how fresh an account's rows are, has them proven, and lets go
// of those that its deletion protection holds.
namespace fairlead::endpoint {

using base::StrCat;

namespace {

std::string Folded(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

// Which kinds a request is about: ?kind= is a kind or a plural in any case, ?group= its API group.
struct KindFilter {
  std::string kind;
  std::optional<std::string> group;

  explicit KindFilter(const std::string& query) : kind(Folded(net::QueryValue(query, "kind"))) {
    if (query.find("group=") != std::string::npos) group = net::QueryValue(query, "group");
  }
  [[nodiscard]] bool any() const { return kind.empty() && !group; }
  [[nodiscard]] bool Has(const store::Kind& one) const {
    return (kind.empty() || kind == Folded(one.kind) || kind == Folded(one.resource)) &&
           (!group || *group == one.group);
  }
};

std::vector<store::Kind> KindsOf(const std::vector<store::Position>& positions,
                                 const KindFilter& filter) {
  std::vector<store::Kind> kinds;
  for (const store::Position& one : positions) {
    if (!filter.Has(one.kind)) continue;
    if (std::find(kinds.begin(), kinds.end(), one.kind) == kinds.end()) kinds.push_back(one.kind);
  }
  return kinds;
}

Json::Value WatchJson(const WatchReport& report) {
  const store::Position& position = report.position;
  Json::Value watch = KindJson(position.kind);
  watch["watch"] = position.watch;
  watch["resourceVersion"] = position.resource_version;
  watch["count"] = Json::UInt64(position.count);
  watch["sum"] = base::ToHex(position.sum);
  watch["held"] = Json::UInt64(position.held);
  watch["state"] = std::string(FreshnessName(report.freshness.state));
  watch["detail"] = report.freshness.detail;
  watch["ageMs"] = Json::Int64(report.facts.age_ms);
  watch["verifiedAgeMs"] = Json::Int64(report.facts.verified_age_ms);
  return watch;
}

constexpr char kNoAgent[] = "no agent holds the account here";
constexpr char kConfirms[] = "confirm-deletes";  // as holder of the term

void SendDeleted(net::HttpResponder& responder, uint64_t rows) {
  Json::Value out;
  out["deleted"] = Json::UInt64(rows);
  Ok(responder, out);
}

}  // namespace

void RestService::AccountAction(const net::HttpServerRequest& request, const std::string& name,
                                const std::string& action, const Responder& responder) {
  const bool reads = action == "freshness";
  if (!reads && action != "audit" && action != "confirm-deletes") {
    return Fail(*responder, 400, "Invalid",
                "behind an account's name stands freshness, audit or confirm-deletes");
  }
  if (request.method != (reads ? "GET" : "POST")) {
    return Fail(*responder, 405, "MethodNotAllowed",
                StrCat(action, " takes ", reads ? "GET" : "POST"));
  }
  WithRegistry(responder, [this, name, action, query = request.query,
                           responder](registry::Registry& registry) {
    const auto account = registry.Get(name);
    if (!account.ok()) return Fail(*responder, account.status());
    options_.reads->Post([this, uid = account->uid, action, query, responder] {
      const auto positions = options_.reader->Positions({uid, 0}, false);
      if (!positions.ok()) return Fail(*responder, positions.status());
      if (action == "freshness") return Freshness(uid, *positions, responder);
      if (action == "audit") return Audit(uid, *positions, query, responder);
      ConfirmDeletes(uid, *positions, query, responder);
    });
  });
}

void RestService::Freshness(const base::U128& uid, const std::vector<store::Position>& positions,
                            const Responder& responder) {
  const base::Clock& clock = options_.loop->clock();
  const std::vector<WatchReport> watches =
      Report(positions, options_.board->Get(uid), options_.board->Own(uid).granted,
             options_.board->Freshness(uid), clock.Now(), clock.WallMs());
  Json::Value out;
  out["state"] = std::string(FreshnessName(Summary(watches)));
  out["watches"] = Json::Value(Json::arrayValue);
  for (const WatchReport& one : watches) out["watches"].append(WatchJson(one));
  Ok(*responder, out);
}

void RestService::Audit(const base::U128& uid, const std::vector<store::Position>& positions,
                        const std::string& query, const Responder& responder) {
  const KindFilter filter(query);
  std::vector<store::Kind> kinds;
  if (filter.any()) {
    kinds.emplace_back();  // stands for every kind
  } else {
    kinds = KindsOf(positions, filter);
  }
  if (kinds.empty()) return Fail(*responder, 404, "NotFound", "the account has no such kind");
  if (options_.actions == nullptr) return Fail(*responder, 409, "Conflict", kNoAgent);
  options_.actions->Audit(uid, kinds, [responder](bool ordered) {
    if (!ordered) return Fail(*responder, 409, "Conflict", kNoAgent);
    Json::Value out;
    out["ordered"] = true;
    Ok(*responder, out);
  });
}

// Under a term of its own, as every write: nobody else may land rows between what is decided and
// what is deleted. The agent that holds the account begins anew from where it was.
void RestService::ConfirmDeletes(const base::U128& uid,
                                 const std::vector<store::Position>& positions,
                                 const std::string& query, const Responder& responder) {
  std::vector<store::Position> held;
  for (const store::Position& one : positions) {
    if (one.held > 0) held.push_back(one);
  }
  store::Batch batch;
  batch.shard = {uid, 0};
  batch.kinds = KindsOf(held, KindFilter(query));
  for (uint32_t i = 0; i < batch.kinds.size(); ++i) {
    batch.entries.emplace_back(store::ConfirmHeld{i});
  }
  if (batch.kinds.empty()) return SendDeleted(*responder, 0);
  const absl::Status queued = options_.writer->NewTerm(
      batch.shard, kConfirms, {},
      [this, batch, responder](const absl::StatusOr<store::Term>& term) {
        if (!term.ok()) return Fail(*responder, term.status());
        // That this replica waits for it now is only true if an agent here does.
        if (term->elsewhere)
          return Fail(*responder, 409, "Conflict", "another replica holds the account: ask that");
        WriteConfirmed(batch, *term, responder);
      });
  if (!queued.ok()) Fail(*responder, queued);
}

void RestService::WriteConfirmed(store::Batch batch, const store::Term& term,
                                 const Responder& responder) {
  batch.epoch = term.state.epoch;
  batch.term = term.state.term;
  batch.seq = term.state.last_seq + 1;
  const auto done = [this, shard = batch.shard, number = batch.term,
                     responder](const store::BatchResult& result) {
    if (options_.actions != nullptr) {
      options_.actions->Fenced(shard.account, "deletions that were held are confirmed");
    }
    // Nobody here goes on with it.
    if (!options_.board->Own(shard.account).granted) {
      options_.writer
          ->Do([shard, number](store::Store& store) {
            store.Release(shard, number, store::Releasing::kAlways).IgnoreError();
          })
          .IgnoreError();
    }
    if (result.status.ok()) return SendDeleted(*responder, result.deleted);
    if (!absl::IsAborted(result.status)) return Fail(*responder, result.status);
    Fail(*responder, 409, "Conflict", "somebody else began to write the account; try again");
  };
  const absl::Status submitted = options_.writer->Submit(std::move(batch), done);
  if (!submitted.ok()) Fail(*responder, submitted);
}

}  // namespace fairlead::endpoint
