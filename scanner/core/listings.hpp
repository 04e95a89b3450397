#pragma once
// Listings: which lines of what a scan recovers are shown to who asked (Limits::listings). A small
// object is shown whole; of a large one the neighbourhood of what a first scan found. The bytes
// around that are shown for every format. Formats use Session::showing() and show().
#include "scanner/core/session.hpp"

#include <array>
#include <deque>
#include <map>

namespace hubgate {

/// In Limits::listings, beside the number of lines of each stage: all lines, not only those near to
/// what was found.
inline constexpr std::uint32_t k_list_all = std::uint32_t{1} << 31;

/// Lines that are shown before and behind something found in a large object.
inline constexpr std::size_t k_listed_near = 40;
/// An object with up to so many lines is shown whole.
inline constexpr std::size_t k_small_listing = 400;

class Listings {
public:
  Listings(const Limits& limits, ReportSink* sink);

  /// What a first scan of the same object found: the lines near to it are those to show.
  void show_near(const Report& found);

  bool asked() const { return limit_ != 0; }
  /// Shows one line (raw), or keeps it until its neighbours are known.
  void add(std::string_view kind, const std::string& where, std::uint64_t offset,
           std::string_view line);
  /// The bytes of a stream of `size` bytes, or those around what was found in it. `text`: people
  /// can read them anyway, so only who wants all gets them.
  void dump(Source& source, const std::string& where, std::uint64_t size, bool text);
  /// Shows what is still kept, and how much was left out.
  void finish();

private:
  enum class Mode {
    all,
    undecided, ///< nobody knows yet whether the object is small: lines are kept
    near,
  };
  /// The lines of one kind of one stream.
  struct Part {
    std::deque<Listing> before; ///< the last lines, shown if something follows
    std::size_t after = 0;      ///< lines still to be shown behind a place
    bool begun = false;
    std::uint64_t last = 0; ///< offset of the last line
    std::uint64_t left_out = 0;
    bool shown = false;
  };
  using Places = std::vector<std::uint64_t>;

  Part& part_of(std::string_view kind, const std::string& where);
  bool is_far(std::string_view kind, const std::string& where, std::uint64_t offset);
  void filter(Listing listing);
  /// False: there is no room for more.
  bool emit(const Listing& listing);
  void mark_left_out(Part& part, const Listing& next);
  void dump_range(Source& source, const std::string& where, std::uint64_t from, std::uint64_t upto);

  ReportSink* sink_;
  std::uint32_t limit_;  ///< lines of each stage
  std::uint64_t window_; ///< decoded streams up to here are read again without decoding
  Mode mode_ = Mode::all;
  std::vector<Listing> undecided_;
  std::map<std::pair<std::string, std::string>, Part> parts_; ///< by stream and kind
  std::pair<std::string, std::string> last_key_;
  Part* last_part_ = nullptr;            ///< of last_key_
  std::map<std::string, Places> places_; ///< by stream, sorted
  std::array<std::uint32_t, 4> shown_{}; ///< lines of each stage
  std::uint64_t left_out_ = 0;           ///< lines that no part counts
};

} // namespace hubgate
