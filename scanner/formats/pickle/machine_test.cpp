// The fast path (run_usual) beside the traced one, which does not take it: behind more texts than
// are kept, where fuzzing does not come, and over more memo and heap than a small pickle needs.
#include "scanner/formats/pickle/machine.hpp"

#include "scanner/core/session.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace hubgate {
namespace {

class Deaf final : public pickle::Tracer {
public:
  void on_opcode(std::uint8_t, std::uint64_t) override {}
};

// A gap says where the two differ.
Reading run_both(Source& source, Session& session) {
  const pickle::Options options{.reports = pickle::Options::Reports::none};
  pickle::Machine fast(source, session, options, nullptr);
  pickle::Machine traced(source, session, options, nullptr);
  Deaf deaf;
  traced.set_tracer(&deaf);
  const auto one = fast.run(0);
  const auto two = traced.run(0);
  constexpr std::size_t k_rendered = 20'000;
  const std::string first = fast.render(fast.result(), k_rendered);
  const std::string second = traced.render(traced.result(), k_rendered);
  if (one.how != pickle::Machine::End::stop || one.how != two.how || one.end != two.end)
    session.gap(Reason::malformed, Reach::load, one.end,
                std::string(one.why) + "/" + two.why.data());
  else if (first != second || first.size() < 2)
    session.gap(Reason::malformed, Reach::load, 0, first + " and " + second);
  return Reading::valid;
}

constexpr Format k_both{.name = "both",
                        .family = "both",
                        .probe = [](const Probe&) { return Claim::yes; },
                        .scan = run_both,
                        .rules = {}};

// A program that leaves one value; the stack is followed, so that it never breaks.
class Programmer {
public:
  explicit Programmer(unsigned seed) : random_(seed) {}

  std::string write(std::string before, unsigned memoized, unsigned opcodes) {
    out_ = std::move(before);
    memo_ = memoized;
    for (unsigned i = 0; i < opcodes; ++i)
      step();
    while (!marks_.empty())
      close();
    out_ += depth_ == 0 ? ")." : std::string(depth_ - 1, '\x86') + ".";
    return out_;
  }

private:
  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  void number(std::uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i)
      out_ += static_cast<char>(value >> (8 * i));
  }
  void push(char code) {
    out_ += code;
    ++depth_;
  }
  void close() {
    out_ += 't';
    depth_ = marks_.back() + 1;
    marks_.pop_back();
  }
  unsigned above() const { return depth_ - (marks_.empty() ? 0 : marks_.back()); }
  void memoize() {
    if (above() == 0) return;
    switch (below(8)) {
    case 0:
      out_ += 'q';
      number(below(200), 1); // over another, mostly
      break;
    case 1:
      out_ += 'r';
      number(memo_++, 4);
      break;
    default:
      out_ += '\x94';
      ++memo_;
    }
  }

  void step() {
    switch (below(14)) {
    case 0:
      return push(std::array{'N', '\x88', '\x89'}.at(below(3)));
    case 1:
      push('K');
      return number(random_(), 1);
    case 2:
      push('M');
      return number(random_(), 2);
    case 3:
      push('J');
      return number(random_(), 4);
    case 4:
      push('G');
      return number(0x3ff8, 8);
    case 5:
    case 6: {
      const unsigned size = below(30);
      push('\x8c');
      number(size, 1);
      out_ += std::string(size, static_cast<char>('a' + below(26)));
      return memoize();
    }
    case 7:
      return memoize();
    case 8:
      push('h');
      return number(below(std::min(memo_, 200U)), 1);
    case 9:
      push('j');
      return number(below(memo_), 4);
    case 10:
      marks_.push_back(depth_);
      out_ += '(';
      return;
    case 11: {
      const unsigned n = 1 + below(3);
      if (above() < n) return;
      out_ += static_cast<char>(0x84 + n);
      depth_ -= n - 1;
      return memoize();
    }
    case 12:
      if (!marks_.empty()) {
        close();
        memoize();
      }
      return;
    default:
      push(std::array{']', '}'}.at(below(2)));
    }
  }

  std::mt19937 random_;
  std::string out_;
  std::vector<unsigned> marks_; ///< depth at each
  unsigned depth_ = 0;
  unsigned memo_ = 0;
};

TEST(PickleMachine, TheFastPathDoesWhatTheTracedOneDoes) {
  static constexpr std::array<const Format*, 1> k_table{&k_both};
  const std::string begin = "\x80\x04";
  std::string texts = begin;
  constexpr unsigned k_texts = 65'000;
  for (unsigned i = 0; i < k_texts; ++i)
    texts += "\x8c\x10"
             "0123456789abcdef\x94"
             "0";
  for (unsigned seed = 0; seed < 60; ++seed) {
    // Short and long, one with more containers than the heap holds.
    const unsigned opcodes = seed == 0 ? 400'000 : seed % 2 == 0 ? 300 : 5000;
    const bool kept = seed % 3 == 1;
    const std::string program = Programmer(seed).write(kept ? begin + "K\x01\x94"
                                                                      "0"
                                                            : texts,
                                                       kept ? 1 : k_texts, opcodes);
    MemorySource source(as_bytes(program));
    const Report report = scan_object(k_table, source, {}, nullptr);
    EXPECT_TRUE(report.gaps.empty()) << seed << ": " << test::show(report);
  }
}

} // namespace
} // namespace hubgate
