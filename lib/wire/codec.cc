#include "lib/wire/codec.h"

#include <zstd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/base/status.h"

namespace fairlead::wire {
namespace {

namespace v1 = agent::v1;
using base::StrCat;

constexpr size_t kHashBytes = 16;
// Twice as much saves no byte of a pod's event and costs the sender a third more time (decision
// 0009).
constexpr size_t kHistoryBytes = size_t{16} << 10;
constexpr size_t kMostPrefixed = size_t{64} << 10;

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// A context is 1 MB and costly to set up: one a thread, kept. Level 1 with a hash table that fits
// the processor's first cache: about a tenth less time at the same size (bench-json-cost).
ZSTD_CCtx* Compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeCompressor> context = [] {
    std::unique_ptr<ZSTD_CCtx, FreeCompressor> made(ZSTD_createCCtx());
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_compressionLevel, 1);
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_hashLog, 13);
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_minMatch, 6);
    return made;
  }();
  return context.get();
}

ZSTD_DCtx* Decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeDecompressor> context(ZSTD_createDCtx());
  return context.get();
}

// zstd forgets a prefix after one frame.
absl::StatusOr<std::string> Compress(const std::string& raw, std::string_view prefix) {
  ZSTD_CCtx_refPrefix(Compressor(), prefix.data(), prefix.size());
  // A batch waits for its ack with the memory of its own size, not of the bound, and nothing is
  // zeroed first.
  const size_t bound = ZSTD_compressBound(raw.size());
  const auto out = std::make_unique_for_overwrite<char[]>(bound);
  const size_t size = ZSTD_compress2(Compressor(), out.get(), bound, raw.data(), raw.size());
  if (ZSTD_isError(size) != 0) return absl::InternalError(ZSTD_getErrorName(size));
  return std::string(out.get(), size);
}

// The promised size is checked against the frame's own header before any memory is taken.
absl::StatusOr<std::string> Decompress(std::string_view bytes, uint32_t raw_bytes,
                                       std::string_view prefix) {
  const unsigned long long content = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (content != raw_bytes) {
    return absl::InvalidArgumentError("payload: zstd frame of another size than promised");
  }
  if (ZSTD_findFrameCompressedSize(bytes.data(), bytes.size()) != bytes.size()) {
    return absl::InvalidArgumentError("payload: not exactly one zstd frame");
  }
  std::string out(raw_bytes, '\0');
  ZSTD_DCtx_refPrefix(Decompressor(), prefix.data(), prefix.size());
  const size_t size =
      ZSTD_decompressDCtx(Decompressor(), out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(size) != 0 || size != raw_bytes) {
    return absl::InvalidArgumentError("payload: damaged zstd frame");
  }
  return out;
}

bool Printable(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

bool NameOk(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && Printable(name) &&
         name.find('/') == std::string_view::npos;
}

constexpr int kMaxAnchors = 8;

bool NamespaceOk(std::string_view name) { return name.empty() || NameOk(name); }

bool VersionOk(std::string_view version) {
  return version.size() <= kMaxVersionBytes && Printable(version);
}

bool ObjectOk(const std::string& name_space, const std::string& name, const std::string& uid,
              const std::string& version) {
  return NamespaceOk(name_space) && NameOk(name) && VersionOk(uid) && VersionOk(version);
}

bool KindOk(const v1::Kind& kind) {
  return NamespaceOk(kind.group()) && NameOk(kind.resource()) && NameOk(kind.kind()) &&
         NameOk(kind.version());
}

const char* ChangeProblem(const v1::Change& change, uint32_t kinds) {
  if (change.kind() >= kinds) return "unknown kind index";
  if (!ObjectOk(change.name_space(), change.name(), change.uid(), change.resource_version())) {
    return "bad name, uid or resourceVersion";
  }
  switch (change.operation()) {
    case v1::Change::UPSERT:
      if (change.content_hash().size() != kHashBytes) return "content hash is not 16 bytes";
      return change.body().empty() ? "upsert without a body" : nullptr;
    case v1::Change::DELETE:
      return change.content_hash().empty() && change.body().empty() ? nullptr
                                                                    : "delete with a body or hash";
    default:
      return "unknown operation";
  }
}

const char* PageProblem(const v1::SnapshotPage& page) {
  if (page.snapshot_id().size() != kHashBytes) return "snapshot id is not 16 bytes";
  for (const v1::SnapshotItem& item : page.items()) {
    if (!ObjectOk(item.name_space(), item.name(), item.uid(), item.resource_version())) {
      return "bad name, uid or resourceVersion in a page";
    }
    if (item.content_hash().size() != kHashBytes) return "content hash is not 16 bytes";
  }
  return nullptr;
}

const char* EntryProblem(const v1::Entry& entry, uint32_t kinds) {
  switch (entry.entry_case()) {
    case v1::Entry::kChange:
      return ChangeProblem(entry.change(), kinds);
    case v1::Entry::kCheckpoint: {
      const v1::Checkpoint& at = entry.checkpoint();
      if (at.kind() >= kinds) return "unknown kind index";
      if (at.anchors_size() > kMaxAnchors) return "too many anchors";
      for (const v1::Anchor& one : at.anchors()) {
        if (!ObjectOk(one.name_space(), one.name(), one.uid(), one.resource_version()))
          return "bad anchor";
      }
      return NamespaceOk(at.watch()) && VersionOk(at.resource_version()) &&
                     at.rules_hash().size() <= kMaxVersionBytes
                 ? nullptr
                 : "bad checkpoint";
    }
    case v1::Entry::kSnapshotBegin: {
      const v1::SnapshotBegin& begin = entry.snapshot_begin();
      if (begin.kind() >= kinds) return "unknown kind index";
      if (begin.snapshot_id().size() != kHashBytes) return "snapshot id is not 16 bytes";
      return NamespaceOk(begin.watch()) && begin.rules_hash().size() <= kMaxVersionBytes
                 ? nullptr
                 : "bad snapshot begin";
    }
    case v1::Entry::kSnapshotPage:
      return PageProblem(entry.snapshot_page());
    case v1::Entry::kSnapshotEnd: {
      const v1::SnapshotEnd& end = entry.snapshot_end();
      if (end.snapshot_id().size() != kHashBytes) return "snapshot id is not 16 bytes";
      if (!end.sum().empty() && end.sum().size() != kHashBytes) return "sum is not 16 bytes";
      return VersionOk(end.resource_version()) ? nullptr : "bad snapshot end";
    }
    default:
      return nullptr;  // of a later version: ignored
  }
}

}  // namespace

void PayloadHistory::Add(std::string_view raw) {
  raw = raw.substr(raw.size() - std::min(raw.size(), kHistoryBytes));
  bytes_.erase(0, bytes_.size() - std::min(bytes_.size(), kHistoryBytes - raw.size()));
  bytes_.append(raw);
}

absl::StatusOr<EncodedPayload> EncodePayload(const v1::Payload& payload, v1::Codec codec,
                                             PayloadHistory* history) {
  if (codec != v1::CODEC_NONE && codec != v1::CODEC_ZSTD) {
    return absl::InvalidArgumentError("payload: unknown codec");
  }
  EncodedPayload out;
  const size_t raw_bytes = payload.ByteSizeLong();
  if (raw_bytes > kMaxRawPayloadBytes) return absl::ResourceExhaustedError("payload: over 16 MiB");
  out.raw_bytes = static_cast<uint32_t>(raw_bytes);
  if (!payload.SerializeToString(&out.bytes)) return absl::InternalError("payload: not encodable");
  if (codec == v1::CODEC_ZSTD) {
    out.prefixed = history != nullptr && raw_bytes <= kMostPrefixed;
    const std::string raw = std::move(out.bytes);
    FAIRLEAD_ASSIGN_OR_RETURN(out.bytes, Compress(raw, out.prefixed ? history->bytes() : ""));
    if (out.prefixed) history->Add(raw);
  }
  if (out.bytes.size() > kMaxEncodedPayloadBytes) {
    return absl::ResourceExhaustedError("payload: over 4 MiB on the wire");
  }
  return out;
}

absl::Status DecodePayload(v1::Codec codec, uint32_t raw_bytes, std::string_view bytes,
                           v1::Payload* out, PayloadHistory* history) {
  if (bytes.size() > kMaxEncodedPayloadBytes || raw_bytes > kMaxRawPayloadBytes) {
    return absl::ResourceExhaustedError("payload: over its bounds");
  }
  std::string decompressed;
  std::string_view raw = bytes;
  if (codec == v1::CODEC_ZSTD) {
    FAIRLEAD_ASSIGN_OR_RETURN(
        decompressed, Decompress(bytes, raw_bytes, history == nullptr ? "" : history->bytes()));
    raw = decompressed;
    if (history != nullptr) history->Add(raw);
  } else if (codec != v1::CODEC_NONE) {
    return absl::InvalidArgumentError("payload: unknown codec");
  } else if (bytes.size() != raw_bytes) {
    return absl::InvalidArgumentError("payload: of another size than promised");
  }
  if (!out->ParseFromArray(raw.data(), static_cast<int>(raw.size()))) {
    return absl::InvalidArgumentError("payload: not a Payload message");
  }
  return CheckPayload(*out);
}

absl::Status CheckPayload(const v1::Payload& payload) {
  if (payload.kinds_size() > static_cast<int>(kMaxKindsInPayload)) {
    return absl::InvalidArgumentError("payload: too many kinds");
  }
  const auto kinds = static_cast<uint32_t>(payload.kinds_size());
  for (int i = 0; i < payload.kinds_size(); ++i) {
    if (!KindOk(payload.kinds(i))) {
      return absl::InvalidArgumentError(StrCat("payload: kind ", i, ": bad name"));
    }
  }
  for (int i = 0; i < payload.entries_size(); ++i) {
    if (const char* problem = EntryProblem(payload.entries(i), kinds); problem != nullptr) {
      return absl::InvalidArgumentError(StrCat("payload: entry ", i, ": ", problem));
    }
  }
  return absl::OkStatus();
}

}  // namespace fairlead::wire
