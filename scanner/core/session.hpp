#pragma once
// Session: how a scan answers. One session a stream (the object, or a member of it); all sessions
// of an object share its budget and its sink. Threads: one scan, one thread.
#include "scanner/core/budget.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/report.hpp"

#include <string>

namespace hubgate {

/// Receives what a scan says while it says it. Offsets of release are of the object itself.
class ReportSink {
public:
  virtual ~ReportSink() = default;
  virtual void on_finding(const Finding&) = 0;
  virtual void on_gap(const Gap&) = 0;
  virtual void on_reference(const Reference&) {}
  virtual void on_listing(const Listing&) {}
  /// Nothing before `offset` will be judged otherwise.
  virtual void on_release(std::uint64_t offset) = 0;
  /// Bytes from `from` on are not needed any more, but for the last k_held_tail of the object.
  virtual void on_rest_is_inert(std::uint64_t from) = 0;
};

/// Bytes that stay unreleased at the end of every object until hash and tail are judged, and that
/// stay readable after rest_is_inert().
inline constexpr std::uint64_t k_held_tail = std::uint64_t{1} << 20;

struct FindOptions {
  std::optional<Severity> severity; ///< instead of the rule's
  std::optional<Reach> reach;       ///< instead of the rule's
  std::string_view condition = {};  ///< globs on the file name, see Finding::condition
  std::string_view techniques = {}; ///< instead of the rule's
  std::string_view klass = {};      ///< instead of the rule's
};

class Engine;
struct EngineStream;

class Session {
public:
  /// Reports a finding. `evidence` is raw text or bytes; it is escaped, masked and bounded here.
  void find(const Rule& rule, std::uint64_t offset, std::uint64_t length, std::string_view evidence,
            const FindOptions& options = {});

  /// Reports that something could not be accounted for. `detail` may hold raw text. `condition`:
  /// globs on the file name, for a reading that matters under these names only.
  void gap(Reason reason, Reach reach, std::uint64_t offset, std::string_view detail,
           std::string_view condition = {});

  /// Tells what the object names outside of itself. `target` may hold raw text; the same target is
  /// listed once. `kind` is one of those in scanner/README.md.
  void refer(std::string_view kind, std::uint64_t offset, std::string_view target,
             std::string_view condition = {});

  /// Whether somebody asked for listings and there is room for more: check it before making a line.
  bool showing() const;

  /// Shows lines of `text` (raw; cut at line feeds) to who asked for listings; nothing otherwise,
  /// and nothing in the report. `kind` is one of those in scanner/README.md.
  void show(std::string_view kind, std::uint64_t offset, std::string_view text);

  /// Moves the release offset of this stream; only that of the object itself reaches the sink.
  /// The format vouches that no loader can be harmed by any prefix up to `upto`.
  void release(std::uint64_t upto);

  /// The format ends at `end`: bytes behind it are not its own. Without this call a valid format
  /// accounts for the whole source.
  void ends_at(std::uint64_t end);

  /// No byte from `from` up to the end of the format can matter any more (weights behind a proven
  /// header). Implies release up to there, save the held tail. Random access behind `from` is
  /// given up.
  void rest_is_inert(std::uint64_t from);

  /// Scans a member under every format. `name` becomes part of `where` (raw bytes are fine).
  /// Depth, entries and bytes are charged to the shared budget.
  void member(std::string_view name, Source& source);

  /// The same for bytes found inside (a pickle in a string, base64 that decodes to a zip): `name`
  /// says what it is, e.g. "base64@0x120". A stream that no format claims is not opaque then.
  void embedded(std::string_view name, Source& source);

  /// The member `name` (as given to member()) is raw data that this format accounts for, tensor
  /// bytes for instance: it is scanned like any other, but being opaque is no gap.
  void raw_member(std::string_view name);

  Budget& budget();
  const Limits& limits() { return budget().limits(); }
  const std::string& where() const;
  std::uint32_t depth() const;
  /// True for the object itself, whose bytes may still be arriving.
  bool is_object() const { return depth() == 0; }

private:
  friend class Engine;
  Session(Engine& engine, EngineStream& stream) : engine_(engine), stream_(stream) {}

  Engine& engine_;
  EngineStream& stream_;
};

/// Scans one object. The only entry point for scanning in this process; outside of tests it runs
/// in a worker (scanner/worker). Returns the whole report; `sink` (may be null) hears it live.
Report scan_object(FormatTable formats, Source& source, const Limits& limits, ReportSink* sink);

} // namespace hubgate
