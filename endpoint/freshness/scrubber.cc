#include "endpoint/freshness/scrubber.h"

#include <utility>

#include "endpoint/store/store.h"
#include "lib/log/log.h"
#include "lib/metrics/names.h"

namespace fairlead::endpoint {

Scrubber::Scrubber(store::Reader* reader, store::WriterQueue* writer, base::Loop* reads,
                   metrics::Registry* metrics)
    : reader_(reader),
      writer_(writer),
      reads_(reads),
      scrubbed_(&metrics->GetCounter(metrics::kAuditRowsHashed,
                                     "Rows whose bodies were hashed before an audit")),
      damaged_(&metrics->GetCounter(metrics::kAuditRowsDamaged,
                                    "Rows found that contradicted themselves")) {}

void Scrubber::Scrub(const store::ScrubRequest& rows, std::function<void()> done) {
  reads_->Post([this, rows, done = std::move(done)]() mutable { Page(rows, std::move(done)); });
}

void Scrubber::Page(store::ScrubRequest rows, std::function<void()> done) {
  const auto page = reader_->Scrub(rows);
  if (!page.ok()) {
    log::Warn("rows could not be hashed before an audit",
              {{"resource", rows.resource}, {"error", page.status()}});
    return done();
  }
  scrubbed_->Add(static_cast<double>(page->rows));
  damaged_->Add(static_cast<double>(page->damaged.size()));
  if (!page->damaged.empty()) {
    log::Warn("rows contradict themselves; their bodies are read again",
              {{"resource", rows.resource}, {"rows", page->damaged.size()}});
  }
  rows.after = page->last;
  const auto next = [this, more = page->more, rows = std::move(rows), done] {
    if (!more) return done();
    reads_->Post([this, rows, done] { Page(rows, done); });
  };
  if (page->damaged.empty()) return next();
  const absl::Status queued = writer_->Do([damaged = page->damaged, next](store::Store& store) {
    const auto marked = store::MarkDamaged(store.connection(), damaged);
    if (!marked.ok()) log::Warn("damaged rows not marked", {{"error", marked.status()}});
    next();
  });
  if (!queued.ok()) done();
}

}  // namespace fairlead::endpoint
