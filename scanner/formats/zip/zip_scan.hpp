#pragma once
// The scan of a zip. It walks the local headers as the bytes arrive, scans each member behind its
// header, and judges every end record before a byte behind it is released: each directory that a
// reader could find is compared with what stands in the local headers, and members that only a
// directory shows are scanned too. See README.md for the order and the rules.
#include "scanner/core/session.hpp"
#include "scanner/formats/archive/members.hpp"
#include "scanner/formats/zip/reader.hpp"

#include <array>
#include <set>
#include <string>
#include <vector>

namespace hubgate::zip {

namespace rules {
extern const Rule& header_mismatch;
extern const Rule& flag_tampering;
extern const Rule& bad_crc;
extern const Rule& multiple_ends;
extern const Rule& directory_mismatch;
extern const Rule& zip64_mismatch;
extern const Rule& prefix;
extern const Rule& unlisted_member;
extern const Rule& gap;
extern const Rule& overlap;
extern const Rule& unicode_name;
extern const Rule& descriptor;
extern const Rule& slack;
extern const Rule& size_mismatch;
extern const Rule& no_local_header;
} // namespace rules

/// The file as the scan reads it: notes every end record's magic in the bytes as they pass, so that
/// looking for them costs no second reading. A reader that jumps forward is followed linearly.
class EndWatch final : public Source {
public:
  explicit EndWatch(Source& file) : file_(file) {}
  std::optional<std::uint64_t> size() override { return file_.size(); }
  Bytes view(std::uint64_t offset, std::size_t n) override;
  Bytes some(std::uint64_t offset, std::size_t n) override;
  bool random_access() override { return file_.random_access(); }
  std::uint64_t wait_end() override { return file_.wait_end(); }
  Fault fault() const override { return file_.fault(); }

  /// Offsets of the magics that begin before `upto`, in order; each is given once.
  std::vector<std::uint64_t> take(std::uint64_t upto);

private:
  void follow(std::uint64_t offset);
  void watch(std::uint64_t offset, Bytes bytes);

  Source& file_;
  std::uint64_t watched_ = 0;
  std::string carry_; ///< the last bytes before watched_, at most three
  std::vector<std::uint64_t> found_;
};

/// One way to read a member's data.
struct DataReading {
  std::uint64_t begin;
  std::optional<std::uint64_t> compressed;
  std::uint16_t method;
  std::uint16_t flags;
  std::uint64_t size;
  bool size_known;
};

/// What came out of scanning it.
struct Outcome {
  std::uint64_t stored_end = 0; ///< in the file
  std::uint64_t length = 0;     ///< decoded
  std::uint32_t crc = 0;
  bool decoded = false;   ///< to its end, so length and crc are the member's
  bool unbounded = false; ///< see MemberContent::is_unbounded
  bool encrypted = false;
};

/// A member as the walk met it.
struct Walked {
  Header local;
  Outcome outcome;
  std::uint64_t end = 0; ///< behind data and descriptor
  std::optional<std::uint32_t> descriptor_crc;
  bool listed = false;
};

class ZipScan {
public:
  ZipScan(Source& source, Session& session)
      : source_(source), session_(session), names_(session, Severity::malicious) {}
  ZipScan(const ZipScan&) = delete;
  ZipScan& operator=(const ZipScan&) = delete;

  /// `start`: where the archive begins; what lies before it is the prefix.
  Reading run(std::uint64_t start);

private:
  // walk.cpp
  std::uint64_t step(std::uint64_t at);
  std::uint64_t walk_member(Header local);
  Outcome scan_reading(const DataReading& reading, std::string_view name,
                       std::uint64_t header_offset);
  Outcome scan_encrypted(const DataReading& reading, std::string_view name,
                         std::uint64_t header_offset);
  std::uint64_t walk_descriptor(Walked& member);
  std::uint64_t skip_gap(std::uint64_t at);
  void scan_side(std::string_view name, std::uint64_t begin, std::uint64_t size);
  void scan_extra(const Header& header);
  void settle(std::uint64_t upto);

  // judge.cpp
  void judge_end(std::uint64_t offset);
  void judge_stated(const EndRecord& end, const DirectoryPlace& place);
  void judge_directory(const EndRecord& end, const DirectoryPlace& place);
  void judge_inner_end(const EndRecord& end, const Walked& inside);
  void judge_record(const CentralRecord& record, const DirectoryPlace& place);
  void judge_member(const CentralRecord& record, const Header& local, Walked* walked);
  void judge_kind(const CentralRecord& record, const Header& local);
  void judge_names(const CentralRecord& record, const Header& local);
  void compare(const CentralRecord& record, const Header& local);
  void compare_outcome(const CentralRecord& record, const Outcome& outcome);
  void judge_overlaps();
  void judge_rest();
  Walked* walked_at(std::uint64_t offset);
  const Walked* data_around(std::uint64_t offset) const;

  struct Range {
    std::uint64_t begin;
    std::uint64_t end;
    bool operator<(const Range& other) const { return begin < other.begin; }
  };

  EndWatch source_;
  Session& session_;
  MemberNames names_;
  std::vector<Walked> walked_; ///< by offset
  std::vector<Range> gaps_;    ///< bytes between members that are not padding
  std::vector<Range> used_;    ///< of listed members: local header to end of data
  std::set<std::array<std::uint64_t, 3>> scanned_;            ///< readings beside those of the walk
  std::set<std::array<std::uint64_t, 2>> judged_directories_; ///< begin and base
  std::uint64_t judged_records_ = 0;
  std::uint64_t start_ = 0;
  std::uint64_t outer_ends_ = 0;  ///< end records outside of members' data that have a directory
  std::uint64_t lone_ends_ = 0;   ///< those that point nowhere
  std::uint64_t archive_end_ = 0; ///< behind the last end record that has a directory
  std::uint64_t rest_ = 0;        ///< where the records stopped, 0 = at the end of the file
  bool budget_gone_ = false;
};

} // namespace hubgate::zip
