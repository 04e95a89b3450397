#include "proxy/cas/layout.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

std::string bytes_of(std::uint64_t size) {
  std::string out(static_cast<std::size_t>(size), '\0');
  std::uint32_t state = 1;
  for (char& c: out)
    c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return out;
}

/// What a client makes of a reconstruction whose addresses are numbers of xorbs.
std::string rebuilt(const std::string& file, const ByteRange& wanted) {
  const CutFile cut{sha256(as_bytes(file)), file.size()};
  const auto plan =
      cut.reconstruction(wanted, [](std::uint64_t index) { return std::to_string(index); });
  const auto text = boost::json::serialize(xet::to_json(plan, xet::Shape::v2));
  EXPECT_TRUE(xet::read_reconstruction(text, xet::Shape::v2));
  std::string out;
  for (const auto& term: plan.terms) {
    const auto& fetch = plan.fetches.at(term.xorb).front();
    const auto index = static_cast<std::uint64_t>(std::stoull(fetch.url));
    const ByteRange stored{fetch.ranges.front().first, fetch.ranges.front().last};
    EXPECT_LT(stored.last, cut.stored_bytes(index));
    const ByteRange raw = cut.file_bytes(index, stored);
    std::vector<std::uint8_t> xorb;
    append_stored(as_bytes(file).subspan(static_cast<std::size_t>(raw.first),
                                         static_cast<std::size_t>(raw.length())),
                  xorb);
    EXPECT_EQ(xorb.size(), stored.length());
    EXPECT_EQ(CutFile::stored_at(raw.first), stored.first);
    const std::size_t before = out.size();
    const auto read = xet::read_chunks(xorb, [&](const xet::Chunk&, Bytes chunk) -> Result<void> {
      out += as_text(chunk);
      return {};
    });
    EXPECT_TRUE(read);
    EXPECT_EQ(out.size() - before, term.bytes);
  }
  return out.substr(static_cast<std::size_t>(plan.offset_into_first_range),
                    static_cast<std::size_t>(wanted.length()));
}

TEST(CutFile, GivesEveryRangeOfAFile) {
  const std::string file = bytes_of(k_cut_xorb + 3 * k_cut_chunk + 77);
  const std::uint64_t n = file.size();
  for (const ByteRange& range:
       {ByteRange{0, n - 1}, ByteRange{0, 0}, ByteRange{n - 1, n - 1},
        ByteRange{k_cut_chunk - 1, k_cut_chunk}, ByteRange{k_cut_xorb - 1, k_cut_xorb},
        ByteRange{k_cut_xorb, k_cut_xorb}, ByteRange{5'000'000, 17'000'000}})
    EXPECT_EQ(rebuilt(file, range), file.substr(static_cast<std::size_t>(range.first),
                                                static_cast<std::size_t>(range.length())))
        << range.first;
}

TEST(CutFile, HasOneXorbForLittle) {
  for (const std::uint64_t n: {std::uint64_t{1}, k_cut_chunk, k_cut_xorb}) {
    EXPECT_EQ((CutFile{{}, n}.xorbs()), 1u);
    const std::string file = bytes_of(n);
    EXPECT_EQ(rebuilt(file, {0, n - 1}), file);
  }
}

TEST(CutFile, NamesXorbsAfterTheFile) {
  const auto url = [](std::uint64_t) { return std::string("u"); };
  const CutFile one{sha256(as_bytes("one")), 2 * k_cut_xorb};
  const CutFile other{sha256(as_bytes("other")), 2 * k_cut_xorb};
  const auto plan = one.reconstruction({0, one.size - 1}, url);
  EXPECT_EQ(plan.terms.size(), 2u);
  EXPECT_EQ(plan.fetches.size(), 2u);
  EXPECT_NE(plan.terms[0].xorb, other.reconstruction({0, 0}, url).terms[0].xorb);
}

} // namespace
} // namespace hubgate::proxy
