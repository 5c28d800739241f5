#include "bench/ledger.h"

#include <charconv>
#include <cstring>

#include "bench/corpus.h"
#include "lib/base/strings.h"

namespace fairlead::bench {
namespace {

constexpr std::string_view kNamePrefix = "shop-app-";

bool Number(std::string_view text, uint64_t* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

Ledger::Ledger(const Workload& workload)
    : workload_(workload),
      newest_(workload.objects),
      last_(workload.objects),
      behind_(workload.objects) {
  for (uint64_t i = 0; i < workload.objects; ++i) last_[i] = workload.InitialVersion(i);
  for (uint64_t event = 0; event < workload.events; ++event) {
    last_[workload.ObjectOf(event)] = workload.EventVersion(event);
  }
}

void Ledger::Fault(std::string_view what) {
  if (faults_++ == 0) first_fault_ = std::string(what);
}

void Ledger::Object(std::string_view name, std::string_view uid, std::string_view resource_version,
                    std::string_view text, bool change) {
  ++(change ? changes_ : items_);
  uint64_t index = 0;
  uint64_t version = 0;
  if (name.substr(0, kNamePrefix.size()) != kNamePrefix ||
      !Number(name.substr(kNamePrefix.size()), &index) || index >= workload_.objects ||
      uid != Corpus::PodUid(index)) {
    return Fault(base::StrCat("not an object of ours: ", name));
  }
  uint64_t number = 0;  // of the event that made this version; 0 = before all
  if (!Number(resource_version, &version) ||
      version > workload_.EventVersion(workload_.events) - 1) {
    return Fault(base::StrCat(name, ": unknown resourceVersion ", resource_version));
  }
  if (version > workload_.ListVersion()) number = version - workload_.ListVersion();
  const bool its_own = number == 0 ? version == workload_.InitialVersion(index)
                                   : workload_.ObjectOf(number - 1) == index;
  if (!its_own) {
    return Fault(base::StrCat(name, ": resourceVersion of another object: ", version));
  }
  const std::string change_of = Corpus::ChangeOf(index, number);
  if (memmem(text.data(), text.size(), change_of.data(), change_of.size()) == nullptr) {
    return Fault(base::StrCat(name, ": the body is not that of version ", version));
  }
  if (change && version <= newest_[index]) {
    return Fault(base::StrCat(name, ": ", version, " came after ", newest_[index]));
  }
  if (newest_[index] == 0) ++known_;
  if (version == last_[index] && newest_[index] != version) --behind_;
  newest_[index] = version;
}

}  // namespace fairlead::bench
