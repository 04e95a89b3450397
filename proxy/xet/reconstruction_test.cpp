#include "proxy/xet/reconstruction.hpp"
#include "proxy/xet/vectors.hpp"

#include <gmock/gmock.h>

namespace hubgate::xet {
namespace {

using testing::HasSubstr;

const std::vector<std::pair<std::string, Shape>> k_files = {
    {"rnd_1m_edit.reconstruction.v1.json", Shape::v1},
    {"rnd_1m_edit.reconstruction.v1.range_490000-700000.json", Shape::v1},
    {"rnd_1m_edit.reconstruction.v2.json", Shape::v2},
    {"rnd_1m_edit.reconstruction.v2.range_490000-700000.json", Shape::v2},
};

TEST(Reconstruction, IsWrittenAsItWasRead) {
  for (const auto& [name, shape]: k_files) {
    const auto read = read_reconstruction(vectors::file(name), shape);
    ASSERT_TRUE(read) << name << ": " << read.error().message;
    EXPECT_EQ(boost::json::value(to_json(*read, shape)), vectors::json(name)) << name;
  }
}

TEST(Reconstruction, ListsTheBytesOfTheFile) {
  const auto all = read_reconstruction(vectors::file(k_files[2].first), Shape::v2);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->bytes(), vectors::input("rnd_1m_edit").size());
  const auto part = read_reconstruction(vectors::file(k_files[3].first), Shape::v2);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->offset_into_first_range, 942u);
  EXPECT_EQ(part->terms.size(), 2u);
}

TEST(Reconstruction, OfAnEmptyFileIsEmpty) {
  const auto empty =
      read_reconstruction(R"({"offset_into_first_range":0,"terms":[],"xorbs":{}})", Shape::v2);
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->bytes(), 0u);
}

// One term and one range, with fields to be replaced.
std::string text(std::string_view from, std::string_view to) {
  std::string out = R"({"offset_into_first_range":0,"terms":[{"hash":")" + std::string(64, 'a') +
                    R"(","unpacked_length":10,"range":{"start":2,"end":4}}],"xorbs":{")" +
                    std::string(64, 'a') +
                    R"(":[{"url":"http://h/x","ranges":[{"chunks":{"start":1,"end":5},)" +
                    R"("bytes":{"start":0,"end":9}}]}]}})";
  const auto at = out.find(from);
  if (at == std::string::npos) throw std::runtime_error("not in the text: " + std::string(from));
  return out.replace(at, from.size(), to);
}

std::string error_of(std::string_view from, std::string_view to) {
  const auto out = read_reconstruction(text(from, to), Shape::v2);
  return out ? "" : out.error().message;
}

TEST(Reconstruction, WhatCannotBeIsRefused) {
  EXPECT_EQ(error_of("x", "x"), "");
  EXPECT_THAT(error_of("{", "["), HasSubstr("no JSON"));
  EXPECT_THAT(error_of(R"("offset_into_first_range":0)", R"("o":0)"), HasSubstr("offset"));
  EXPECT_THAT(error_of(R"(_range":0)", R"(_range":-1)"), HasSubstr("offset"));
  EXPECT_THAT(error_of(R"(_range":0)", R"(_range":10)"), HasSubstr("offset"));
  EXPECT_THAT(error_of(R"(_range":0)", R"(_range":1.5)"), HasSubstr("offset"));
  EXPECT_THAT(error_of(R"("terms":[)", R"("terms":[1,)"), HasSubstr("term"));
  EXPECT_THAT(error_of(R"("hash":"aa)", R"("hash":"a)"), HasSubstr("hash"));
  EXPECT_THAT(error_of("_length\":10", "_length\":0"), HasSubstr("unpacked_length"));
  EXPECT_THAT(error_of("_length\":10", "_length\":262145"), HasSubstr("unpacked_length"));
  EXPECT_THAT(error_of(R"("start":2,"end":4)", R"("start":4,"end":4)"), HasSubstr("range"));
  EXPECT_THAT(error_of(R"("start":2,"end":4)", R"("start":2,"end":8193)"), HasSubstr("range"));
  EXPECT_THAT(error_of(R"("start":2,"end":4)", R"("start":2,"end":6)"), HasSubstr("no address"));
  EXPECT_THAT(error_of(R"("start":2,"end":4)", R"("start":0,"end":4)"), HasSubstr("no address"));
  EXPECT_THAT(error_of(R"("xorbs":{"a)", R"("xorbs":{"b)"), HasSubstr("no address"));
  EXPECT_THAT(error_of(R"("xorbs":{"a)", R"("xorbs":{")"), HasSubstr("xorbs"));
  EXPECT_THAT(error_of(R"("url":"http://h/x")", R"("url":"")"), HasSubstr("url"));
  EXPECT_THAT(error_of(R"("start":0,"end":9)", R"("start":10,"end":9)"), HasSubstr("bytes"));
  EXPECT_THAT(error_of(R"("start":0,"end":9)", R"("start":0,"end":67174400)"), HasSubstr("bytes"));
  EXPECT_THAT(error_of(R"("ranges":[)", R"("ranges":[],"x":[)"), HasSubstr("ranges"));
}

TEST(Reconstruction, OneShapeIsNotTheOther) {
  EXPECT_FALSE(read_reconstruction(vectors::file(k_files[0].first), Shape::v2));
  EXPECT_FALSE(read_reconstruction(vectors::file(k_files[2].first), Shape::v1));
}

} // namespace
} // namespace hubgate::xet
