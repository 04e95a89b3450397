// TFRecord: length, checksum, bytes, checksum, again and again
// (tensorflow/core/lib/io/record_writer.h). See README.md.
#include "scanner/core/crc32c.hpp"
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/protobuf.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/values.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

constexpr std::uint64_t k_head = 12;
constexpr std::uint64_t k_frame = 16;
constexpr std::uint64_t k_max_features = 4096; ///< of one record that are looked at by themselves

constexpr std::array<Rule, 2> k_rules{{
    {"tfrecord-checksum", "structure", Severity::suspicious, Reach::data, "CWE-354",
     "AML.T0010.002", "DAT-015", "a record does not match its checksum"},
    {"tfrecord-length", "structure", Severity::suspicious, Reach::data, "CWE-130", "AML.T0010.002",
     "DAT-015", "a record's length is not what its checksum was made of"},
}};
const Rule& k_checksum = k_rules[0];
const Rule& k_length = k_rules[1];

std::optional<std::uint64_t> length_of(Bytes head) {
  if (head.size() < k_head) return std::nullopt;
  Reader reader(head);
  const auto length = reader.le<std::uint64_t>();
  const auto crc = reader.le<std::uint32_t>();
  if (!length || !crc || masked_crc32c(crc32c(head.first(8))) != *crc) return std::nullopt;
  return length;
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : source_(source), session_(session), input_(source), judge_(session) {}
  Reading run();

private:
  bool record(std::uint64_t at, std::uint64_t length);
  void values(std::uint64_t begin, std::uint64_t end);

  Source& source_;
  Session& session_;
  ProtoInput input_;
  ValueJudge judge_;
  bool told_checksum_ = false;
};

// tf.train.Example: 1 features {1 feature: map<string, Feature {1 bytes_list {1 value}}>}.
// SequenceExample: 1 context (the same), 2 feature_lists {1 map<string, {1 feature}>}. Any record
// may also be bytes of the program's own.
void Scan::values(std::uint64_t begin, std::uint64_t end) {
  judge_.look(source_, begin, end - begin, "record", begin);
  std::uint64_t features = 0;
  // Strings inside strings: every length-delimited field some levels down, without recursion.
  struct Level {
    ProtoReader reader;
    int depth;
  };
  std::vector<Level> open{{ProtoReader(input_, begin, end), 0}};
  ProtoField field;
  while (!open.empty() && features < k_max_features) {
    Level& level = open.back();
    if (!level.reader.next(field)) {
      open.pop_back();
      continue;
    }
    if (field.wire != ProtoWire::bytes || field.size() < 8) continue;
    ++features;
    if (level.depth >= 2) judge_.look(source_, field.begin, field.size(), "value", field.begin);
    if (level.depth < 6 && open.size() < 8 && field.number <= 2)
      open.push_back({level.reader.inside(field), level.depth + 1});
  }
}

bool Scan::record(std::uint64_t at, std::uint64_t length) {
  std::uint32_t crc = 0;
  for (std::uint64_t done = 0; done < length;) {
    const Bytes piece = source_.view(
        at + done, static_cast<std::size_t>(std::min<std::uint64_t>(length - done, 1 << 20)));
    if (piece.empty()) return false;
    crc = crc32c(piece, crc);
    done += piece.size();
  }
  const Bytes stored = source_.view(at + length, 4);
  if (stored.size() < 4) return false;
  if (Reader(stored).le<std::uint32_t>() != masked_crc32c(crc) && !told_checksum_) {
    told_checksum_ = true;
    session_.find(k_checksum, at, length, "the record at " + std::to_string(at));
  }
  values(at, at + length);
  return true;
}

Reading Scan::run() {
  std::uint64_t at = 0;
  for (std::uint64_t count = 0;; ++count) {
    const Bytes head = source_.view(at, k_head);
    if (head.empty() && count > 0) return Reading::valid;
    const auto length = length_of(head);
    if (count == 0 && !length) return Reading::none;
    if (head.size() < k_head) break;
    if (!length) {
      session_.find(k_length, at, k_head, "at " + std::to_string(at));
      session_.gap(Reason::malformed, Reach::data, at, "the records can't be followed from here");
      return Reading::broken;
    }
    const auto size = source_.size();
    if (*length > ~std::uint64_t{0} - at - k_frame || (size && at + k_frame + *length > *size) ||
        !record(at + k_head, *length))
      break;
    at += k_frame + *length;
    session_.release(at);
    if (count % 1024 == 1023 && !session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::data, at, "out of time");
      return Reading::broken;
    }
  }
  session_.gap(Reason::truncated, Reach::data, at, "the bytes end inside a record");
  return Reading::broken;
}

Claim probe(const Probe& probe) {
  return length_of(probe.head) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_tfrecord;
const Format format_tfrecord{"tfrecord", "tfrecord", probe, scan, k_rules};

} // namespace hubgate
