#include "endpoint/session/convert.h"

#include <algorithm>
#include <utility>

#include "lib/base/hash.h"
#include "lib/base/strings.h"

namespace fairlead::endpoint {

namespace v1 = fairlead::agent::v1;

namespace {

bool IsSecret(const store::Kind& kind) { return kind.group.empty() && kind.resource == "secrets"; }

class Converter {
 public:
  Converter(const v1::Payload& payload, bool keep_secret_data, json::ObjectReader* reader,
            SnapshotKinds* snapshots, store::Batch* batch, std::vector<store::Refused>* refused)
      : payload_(payload),
        keep_(keep_secret_data),
        reader_(reader),
        snapshots_(snapshots),
        batch_(batch),
        refused_(refused) {}

  void Run() {
    for (const v1::Kind& kind : payload_.kinds()) {
      batch_->kinds.push_back(
          {kind.group(), kind.resource(), kind.kind(), kind.version(), kind.namespaced()});
    }
    for (const v1::Entry& entry : payload_.entries()) Convert(entry);
  }

 private:
  void Convert(const v1::Entry& entry) {
    switch (entry.entry_case()) {
      case v1::Entry::kChange:
        return ConvertChange(entry.change());
      case v1::Entry::kCheckpoint: {
        const v1::Checkpoint& from = entry.checkpoint();
        store::Checkpoint checkpoint{from.kind(),
                                     from.watch(),
                                     from.history(),
                                     from.resource_version(),
                                     from.rules_hash(),
                                     from.age_ms(),
                                     {}};
        for (const v1::Anchor& one : from.anchors()) {
          checkpoint.anchors.push_back(
              {{one.name_space(), one.name()}, one.uid(), one.resource_version()});
        }
        batch_->entries.emplace_back(std::move(checkpoint));
        return;
      }
      case v1::Entry::kSnapshotBegin: {
        const v1::SnapshotBegin& from = entry.snapshot_begin();
        snapshots_->Begin(Number(from.snapshot_id()), batch_->kinds[from.kind()]);
        batch_->entries.emplace_back(store::SnapshotBegin{Number(from.snapshot_id()), from.kind(),
                                                          from.watch(), from.history(),
                                                          from.rules_hash(), from.complete_list()});
        return;
      }
      case v1::Entry::kSnapshotPage:
        return ConvertPage(entry.snapshot_page());
      case v1::Entry::kSnapshotEnd: {
        const v1::SnapshotEnd& from = entry.snapshot_end();
        snapshots_->End(Number(from.snapshot_id()));
        batch_->entries.emplace_back(store::SnapshotEnd{
            Number(from.snapshot_id()), from.resource_version(), from.count(), Number(from.sum()),
            from.age_ms(), from.incomplete(), !from.sum().empty()});
        return;
      }
      case v1::Entry::ENTRY_NOT_SET:
        return;  // of a later version
    }
  }

  void ConvertChange(const v1::Change& from) {
    store::Change change;
    change.upsert = from.operation() == v1::Change::UPSERT;
    change.kind = from.kind();
    change.name_space = from.name_space();
    change.name = from.name();
    change.uid = from.uid();
    change.resource_version = from.resource_version();
    change.history = from.history();
    change.age_ms = from.age_ms();
    if (change.upsert) {
      change.content_hash = Number(from.content_hash());
      const store::Kind& kind = batch_->kinds[from.kind()];
      if (!CheckBody(IsSecret(kind), from.body(), change.content_hash,
                     {from.name_space(), from.name()}, kind, &change.application)) {
        return;
      }
      change.body = from.body();
    }
    batch_->entries.emplace_back(std::move(change));
  }

  void ConvertPage(const v1::SnapshotPage& from) {
    store::SnapshotPage page;
    page.snapshot_id = Number(from.snapshot_id());
    const store::Kind* known = snapshots_->Find(page.snapshot_id);
    const store::Kind kind = known == nullptr ? store::Kind() : *known;
    const bool secret = known == nullptr || IsSecret(kind);
    for (const v1::SnapshotItem& one : from.items()) {
      store::SnapshotItem item{one.name_space(), one.name(), one.uid(), one.resource_version(),
                               Number(one.content_hash())};
      item.has_body = !one.body().empty();
      if (item.has_body) {
        item.refused = !CheckBody(secret, one.body(), item.content_hash,
                                  {one.name_space(), one.name()}, kind, &item.application);
        if (!item.refused) item.body = one.body();
      }
      page.items.push_back(std::move(item));
    }
    batch_->entries.emplace_back(std::move(page));
  }

  bool CheckBody(bool secret, const std::string& body, const base::U128& hash,
                 store::ObjectName name, const store::Kind& kind, std::string* application) {
    const char* why = nullptr;
    json::CutRules rules;
    rules.secret_data = secret && !keep_;
    const auto view = reader_->ReadObject(body, rules);
    if (!view.ok()) {
      why = "the body is not a readable object";
    } else if (!view->cuts.empty()) {
      why = "the body holds what the agent must cut";
    } else if (base::Sha256Trunc128(body) != hash) {
      why = "the body does not have the hash it came with";
    }
    if (why != nullptr) {
      refused_->push_back({kind, std::move(name), why});
      return false;
    }
    *application = std::string(view->application);
    return true;
  }

  const v1::Payload& payload_;
  bool keep_;
  json::ObjectReader* reader_;
  SnapshotKinds* snapshots_;
  store::Batch* batch_;
  std::vector<store::Refused>* refused_;
};

}  // namespace

void SnapshotKinds::Begin(const base::U128& snapshot, const store::Kind& kind) {
  if (kinds_.size() < kMost || kinds_.contains(snapshot)) kinds_[snapshot] = kind;
}

const store::Kind* SnapshotKinds::Find(const base::U128& snapshot) const {
  const auto found = kinds_.find(snapshot);
  return found == kinds_.end() ? nullptr : &found->second;
}

void ConvertPayload(const v1::Payload& payload, bool keep_secret_data, json::ObjectReader* reader,
                    SnapshotKinds* snapshots, store::Batch* batch,
                    std::vector<store::Refused>* refused) {
  Converter(payload, keep_secret_data, reader, snapshots, batch, refused).Run();
}

v1::Scope ScopeOf(const registry::AccountSpec& spec) {
  v1::Scope scope;
  scope.set_level_cluster(spec.level_cluster);
  const std::vector<std::string>& most =
      spec.level_cluster ? spec.namespaces : spec.access_namespaces;
  for (const std::string& one : most) {
    const bool wanted =
        spec.level_cluster || spec.namespaces.empty() ||
        std::find(spec.namespaces.begin(), spec.namespaces.end(), one) != spec.namespaces.end();
    if (wanted) scope.add_namespaces(one);
  }
  for (const std::string& one : spec.omit_namespaces) scope.add_omit_namespaces(one);
  for (const std::string& one : spec.kinds) scope.add_kinds(one);
  for (const std::string& one : spec.omit_kinds) scope.add_omit_kinds(one);
  for (const registry::CustomResource& one : spec.custom_resources) {
    v1::CustomResource* resource = scope.add_custom_resources();
    resource->set_kubernetes_kind(one.kubernetes_kind);
    resource->set_namespaced(one.namespaced);
  }
  scope.set_cluster_scoped(spec.cluster_scoped);
  scope.set_only_spinnaker_managed(spec.only_spinnaker_managed);
  scope.set_keep_secret_data(spec.keep_secret_data);
  return scope;
}

void FillPosition(const store::Position& from, agent::v1::Position* to) {
  to->mutable_kind()->set_group(from.kind.group);
  to->mutable_kind()->set_resource(from.kind.resource);
  to->mutable_kind()->set_kind(from.kind.kind);
  to->mutable_kind()->set_version(from.kind.version);
  to->mutable_kind()->set_namespaced(from.kind.namespaced);
  to->set_watch(from.watch);
  to->set_history(std::max<uint64_t>(1, from.history));
  to->set_resource_version(from.resource_version);
  to->set_count(from.count);
  to->set_held(from.held);
  to->set_sum(base::ToBytes(from.sum));
  to->set_rules_hash(from.rules_hash);
  to->set_anchors_at_position(from.anchors_at_position);
  for (const store::Anchor& anchor : from.anchors) {
    agent::v1::Anchor* one = to->add_anchors();
    one->set_name_space(anchor.object.name_space);
    one->set_name(anchor.object.name);
    one->set_uid(anchor.uid);
    one->set_resource_version(anchor.resource_version);
  }
}

}  // namespace fairlead::endpoint
