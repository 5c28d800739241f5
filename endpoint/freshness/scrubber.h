#pragma once

#include <functional>
#include <memory>

#include "endpoint/store/reader.h"
#include "endpoint/store/writer_queue.h"
#include "lib/base/loop.h"
#include "lib/metrics/metrics.h"

namespace fairlead::endpoint {

// Hashes the bodies of one kind and watch, page by page beside everything else on the readers'
// loop, and has the hash taken from every row that contradicts itself (store/scrub.h). What cannot
// be read is logged and left: the list that follows says the rest.
class Scrubber {
 public:
  // All outlive the scrubber, and `reads` is stopped before it goes; `reader` is used on `reads`.
  Scrubber(store::Reader* reader, store::WriterQueue* writer, base::Loop* reads,
           metrics::Registry* metrics);
  // Any thread; `done` runs on any, once what was found is marked.
  void Scrub(const store::ScrubRequest& rows, std::function<void()> done);

 private:
  void Page(store::ScrubRequest rows, std::function<void()> done);

  store::Reader* reader_;
  store::WriterQueue* writer_;
  base::Loop* reads_;
  metrics::Counter* scrubbed_;
  metrics::Counter* damaged_;
};

}  // namespace fairlead::endpoint
