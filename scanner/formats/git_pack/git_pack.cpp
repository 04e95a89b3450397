// Packs of Git: every object of a repository's history, one behind the other, many as differences.
// Each is scanned like a file. The reader is scanner/gitstore. See README.md.
#include "scanner/codecs/codecs.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/git_object/tree.hpp"
#include "scanner/gitstore/pack.hpp"

namespace hubgate {
namespace {

constexpr std::uint64_t k_most = std::uint64_t{16} << 20; ///< of what is made from differences

class Scan {
public:
  Scan(Source& source, Session& session, std::uint64_t size)
      : source_(source), session_(session), size_(size) {}
  Reading run();

private:
  std::optional<std::uint64_t> object(const git::PackEntry& entry);
  void content(std::string_view kind, std::uint64_t offset, Source& bytes, std::uint64_t size);
  Reading broken(Reason reason, std::uint64_t at, std::string_view what) {
    session_.gap(reason, Reach::data, at, what);
    session_.ends_at(at);
    return Reading::broken;
  }

  Source& source_;
  Session& session_;
  std::uint64_t size_;
  std::unique_ptr<git::PackReader> reader_;
};

void Scan::content(std::string_view kind, std::uint64_t offset, Source& bytes, std::uint64_t size) {
  if (size == 0) return;
  if (kind == "tree" && git::judge_tree(bytes, session_, 0, size, offset)) return;
  session_.member(std::string(kind) + "@" + std::to_string(offset), bytes);
}

// Scans the object and returns where its entry ends; nothing when the pack can't be read on.
std::optional<std::uint64_t> Scan::object(const git::PackEntry& entry) {
  DecoderPtr decoder = decode_zlib(source_, entry.data, size_);
  const StreamDecoder& stream = *decoder;
  DecodedSource decoded(std::move(decoder), session_.budget());
  if (!entry.is_delta()) {
    const auto kind = static_cast<git::Kind>(static_cast<int>(entry.type) - 1);
    content(git::to_string(kind), entry.offset, decoded, entry.size);
  }
  const std::uint64_t length = decoded.wait_end();
  if (decoded.fault() != Fault::none || length != entry.size) return std::nullopt;
  if (!entry.is_delta()) return stream.position();
  auto made = reader_->read(entry.offset, k_most);
  if (!made) {
    session_.gap(Reason::unsupported, Reach::data, entry.offset,
                 "an object that is a difference to one that is not here");
  } else if (made->bytes == nullptr) {
    session_.gap(Reason::budget, Reach::data, entry.offset, "a difference of more than 16 MiB");
  } else if (!session_.budget().decoded(made->bytes->size())) {
    session_.gap(Reason::budget, Reach::data, entry.offset, "unpacking spent the budget");
    return std::nullopt;
  } else {
    MemorySource bytes(*made->bytes);
    content(git::to_string(made->header.kind), entry.offset, bytes, made->bytes->size());
  }
  return stream.position();
}

Reading Scan::run() {
  const auto count = git::read_pack_head(source_.view(0, git::k_pack_head));
  if (!count) return Reading::none;
  auto reader = git::PackReader::open(source_, nullptr, {});
  if (!reader) return broken(Reason::truncated, 0, "the pack ends early");
  reader_ = std::move(*reader);
  std::uint64_t at = git::k_pack_head;
  for (std::uint32_t i = 0; i < *count; ++i) {
    if (at >= reader_->end()) return broken(Reason::truncated, at, "the pack ends early");
    if (!session_.budget().time_left())
      return broken(Reason::budget, at, "out of time in the objects of the pack");
    const auto entry = reader_->entry(at);
    if (!entry) return broken(Reason::malformed, at, "no object where one is due");
    const auto end = object(*entry);
    if (!end) return broken(Reason::malformed, at, "an object of the pack can't be unpacked");
    if (*end > reader_->end()) return broken(Reason::truncated, at, "the pack ends early");
    at = *end;
  }
  session_.ends_at(at + git::Oid::k_sha1);
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  return git::read_pack_head(probe.head) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session, source.wait_end()).run();
}

} // namespace

extern const Format format_git_pack;
const Format format_git_pack{"git_pack", "git_pack", probe, scan, {}};

} // namespace hubgate
