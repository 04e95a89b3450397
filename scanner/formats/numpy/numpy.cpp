// .npy: one array, or several that np.save() wrote one after the other. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/release.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/numpy/npy.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

constexpr std::uint64_t k_reader_limit = 10'000; ///< max_header_size of numpy.load()

constexpr std::array<Rule, 3> k_rules{{
    {"npy-header", "structure", Severity::suspicious, Reach::load, "CWE-20", "AML.T0029", "JNP-009",
     "the header of an array is not what numpy writes"},
    {"npy-extent", "structure", Severity::suspicious, Reach::load, "CWE-789", "AML.T0029",
     "JNP-011",
     "an array claims more elements than the file has, so a reader allocates for nothing"},
    {"npy-object-array", "pickle", Severity::informational, Reach::load, "CWE-502", "AML.T0011.000",
     "JNP-008", "an array of objects is stored as a pickle"},
}};

const Rule& k_header = k_rules[0];
const Rule& k_extent = k_rules[1];
const Rule& k_object = k_rules[2];

Claim probe(const Probe& probe) {
  return starts_with(probe.head, "\x93NUMPY") ? Claim::yes : Claim::no;
}

Reading refuse(Source& source, Session& session, const numpy::Header& header, std::uint64_t at) {
  using State = numpy::Header::State;
  if (header.state == State::truncated) {
    session.gap(Reason::truncated, Reach::load, at, "the bytes end inside an array's header");
  } else if (header.state == State::unsupported) {
    session.find(k_header, at, 0, "an unknown version of the format");
    session.gap(Reason::unsupported, Reach::load, at, "an unknown version of .npy");
  } else {
    session.find(k_header, at, header.length, std::string(header.error) + ": " + header.text);
    session.gap(Reason::malformed, Reach::load, at, header.error);
  }
  // A reader may understand what we don't: the elements may be a pickle to it.
  if (header.data > at && header.state != State::truncated) {
    TailSource body(source, header.data);
    session.embedded("array body", body);
  }
  return Reading::broken;
}

Reading scan(Source& source, Session& session) {
  std::uint64_t at = 0;
  for (std::uint64_t arrays = 0;; ++arrays) {
    const numpy::Header header = numpy::read_header(source, at);
    if (header.state == numpy::Header::State::none) {
      session.ends_at(at);
      return Reading::valid;
    }
    if (header.state != numpy::Header::State::good) return refuse(source, session, header, at);
    if (header.length > k_reader_limit)
      session.find(k_header, at, header.length,
                   "a header of " + std::to_string(header.length) + " bytes");
    if (header.dtype.has_object) {
      session.find(k_object, header.data, 0, header.text);
      // The pickle says itself where it ends, and what follows it is an object again.
      SubSource body(source, header.data, source.wait_end() - header.data);
      session.member("object array", body);
      return Reading::valid;
    }
    const std::uint64_t end = header.data + header.bytes;
    const auto size = source.size();
    if (size && end > *size) {
      session.find(k_extent, at, 0,
                   std::to_string(header.bytes) + " bytes are claimed, " +
                       std::to_string(*size - std::min(*size, header.data)) +
                       " are there: " + header.text);
      session.gap(Reason::truncated, Reach::load, *size, "an array is longer than the file");
      return Reading::broken;
    }
    session.ends_at(end);
    if (size == end) session.rest_is_inert(header.data);
    if (!release_weights(source, session, end)) {
      session.gap(Reason::truncated, Reach::data, end, "the bytes end inside an array");
      return Reading::broken;
    }
    at = end;
    if (arrays % 1024 == 1023 && !session.budget().time_left()) {
      session.gap(Reason::budget, Reach::load, at, "out of time");
      return Reading::broken;
    }
  }
}

} // namespace

extern const Format format_numpy;
const Format format_numpy{"numpy", "numpy", probe, scan, k_rules};

} // namespace hubgate
