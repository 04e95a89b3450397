#pragma once
// Engine: runs every format that claims a stream, recurses into members, compares the readings.
// Internal to scanner/core; callers use scan_object() and formats use Session.
#include "scanner/core/inspector.hpp"
#include "scanner/core/listings.hpp"
#include "scanner/core/session.hpp"

#include <unordered_set>

namespace hubgate {

class Engine {
public:
  /// `inspector` may be null.
  Engine(FormatTable formats, const Limits& limits, ReportSink* sink, StreamInspector* inspector);
  Report scan(Source& source);
  Listings& listings() { return listings_; }

private:
  friend class Session;
  using Stream = EngineStream;
  enum class Opaque { is_gap, is_fine };
  struct HeldOpaque {
    std::string where;
    std::uint64_t size;
  };

  void add(Finding finding);
  void add(Gap gap);
  void add(Reference reference);
  void release_moved(Stream& stream);
  void claim(Stream& stream, const Probe& probe);
  void run(Stream& stream, std::size_t index);
  void scan_stream(Stream& stream, Opaque opaque);
  void scan_member(Stream& parent, std::string_view name, Source& source, Opaque opaque);
  void judge(Stream& stream, std::uint64_t size, Opaque opaque);
  void inspect(Stream& stream, Source& source);

  FormatTable formats_;
  Budget budget_;
  ReportSink* sink_;
  StreamInspector* inspector_;
  Report report_;
  std::uint64_t released_ = 0;
  bool bomb_reported_ = false;
  Listings listings_;
  std::unordered_set<std::string> referred_; ///< of what is listed, so that it is listed once
  /// Opaque members wait here until the formats of the enclosing streams had their say.
  std::vector<HeldOpaque> held_opaque_;
};

/// Rules of the engine itself (polyglots, trailing data).
std::span<const Rule> engine_rules();

} // namespace hubgate
