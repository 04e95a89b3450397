// What Git's peers say to each other: what passes, what is left out, what is refused; cut anywhere.
#include "proxy/git/protocol.hpp"

#include <gmock/gmock.h>
#include <zlib.h>

namespace hubgate::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::string_literals;

const std::string k_id(40, 'a');
const std::string k_other(40, 'b');
const std::string k_zero(40, '0');

std::string lines(std::initializer_list<std::string> all) {
  std::string out;
  for (const auto& line: all)
    out += line.empty()  ? std::string(k_flush_pkt)
           : line == "|" ? std::string(k_delim_pkt)
                         : pkt(line);
  return out;
}

TEST(PktLine, IsReadHoweverItIsCut) {
  const std::string all = pkt("one\n") + "0000" + pkt("") + "0001" + pkt("two") + "0002rest";
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    PktReader reader;
    std::string seen;
    for (const auto part:
         {std::string_view(all).substr(0, cut), std::string_view(all).substr(cut)}) {
      reader.feed(as_bytes(part));
      while (const auto packet = reader.next())
        seen += packet->kind == Pkt::Kind::data ? "[" + std::string(as_text(packet->content)) + "]"
                                                : std::to_string(static_cast<int>(packet->kind));
    }
    EXPECT_EQ(seen, "[one\n]1[]2[two]3") << cut;
    EXPECT_EQ(as_text(reader.rest()), "rest");
    EXPECT_TRUE(reader.broken()); // what follows is no packet
  }
}

TEST(PktLine, ThatIsNoneBreaks) {
  for (const char* bad: {"zzzz", "0003", "fff1", "-001", "00 4"}) {
    PktReader reader;
    reader.feed(as_bytes(bad));
    EXPECT_FALSE(reader.next()) << bad;
    EXPECT_TRUE(reader.broken()) << bad;
  }
}

TEST(Advertisement, LosesWhatLetsObjectsTravelPastTheGate) {
  const std::string refs = lines(
      {"# service=git-upload-pack\n", "",
       k_id +
           " HEAD\0multi_ack thin-pack side-band-64k packfile-uris symref=HEAD:refs/heads/main x"s,
       k_other + " refs/heads/main\n", ""});
  const auto passed = filter_advertisement(refs, GitService::upload_pack);
  ASSERT_TRUE(passed) << passed.error().message;
  EXPECT_THAT(*passed, HasSubstr(" multi_ack side-band-64k symref=HEAD:refs/heads/main\n"));
  EXPECT_THAT(*passed, Not(HasSubstr("thin-pack")));
  EXPECT_THAT(*passed, HasSubstr(k_other + " refs/heads/main"));

  const std::string second =
      lines({"version 2\n", "agent=x\n", "ls-refs=unborn\n",
             "fetch=shallow packfile-uris sideband-all ref-in-want wait-for-done filter\n",
             "bundle-uri\n", "object-info\n", "object-format=sha1\n", ""});
  const auto list = filter_advertisement(second, GitService::upload_pack);
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(*list, lines({"version 2\n", "agent=x\n", "ls-refs=unborn\n",
                          "fetch=shallow wait-for-done filter\n", "object-format=sha1\n", ""}));
  EXPECT_FALSE(filter_advertisement(second, GitService::receive_pack));
}

TEST(Advertisement, AsksForWholePacks) {
  const std::string refs =
      lines({"# service=git-receive-pack\n", "",
             k_zero + " capabilities^{}\0report-status atomic push-cert=x "s, ""});
  const auto passed = filter_advertisement(refs, GitService::receive_pack);
  ASSERT_TRUE(passed) << passed.error().message;
  EXPECT_THAT(*passed, HasSubstr(" report-status atomic no-thin\n"));
  EXPECT_THAT(*passed, Not(HasSubstr("push-cert")));
  EXPECT_FALSE(filter_advertisement(refs + "0000", GitService::receive_pack));
  EXPECT_FALSE(filter_advertisement(refs.substr(0, refs.size() - 4), GitService::receive_pack));
}

TEST(PullRequest, IsWrittenAnew) {
  const auto first = read_pull_request(
      lines({"want " + k_id + " thin-pack side-band-64k ofs-delta no-progress packfile-uris\n", "",
             "have " + k_other + "\n", "done\n"}));
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->text, lines({"want " + k_id + " side-band-64k ofs-delta no-progress\n", "",
                                "have " + k_other + "\n", "done\n"}));
  EXPECT_EQ(first->band, k_pkt_max - 1);
  EXPECT_TRUE(first->quiet);
  EXPECT_FALSE(read_pull_request(lines({"want " + k_id + " ofs-delta\n", "", "done\n"})));

  const auto second = read_pull_request(lines({"command=fetch", "agent=git/2", "|", "thin-pack",
                                               "ofs-delta", "want " + k_id + "\n", "done\n", ""}));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_TRUE(second->second_version);
  EXPECT_THAT(second->text, Not(HasSubstr("thin-pack")));
  EXPECT_THAT(second->text, HasSubstr("want " + k_id));
}

TEST(PullRequest, ThatIsNotUnderstoodDoesNotPass) {
  const std::string fetch = lines({"command=fetch", "|", "want " + k_id, "done", ""});
  EXPECT_TRUE(read_pull_request(fetch));
  EXPECT_FALSE(read_pull_request(fetch + fetch));
  EXPECT_FALSE(read_pull_request(fetch.substr(0, fetch.size() - 1)));
  for (const char* argument: {"packfile-uris https", "sideband-all", "want-ref refs/heads/x", "x"})
    EXPECT_FALSE(read_pull_request(lines({"command=fetch", "|", argument, ""}))) << argument;
  EXPECT_FALSE(read_pull_request(lines({"command=object-info", "|", "size", ""})));
}

std::string told(const std::string& answer, bool second_version, std::size_t cut) {
  PullAnswer reader(second_version);
  std::string out;
  for (const auto part:
       {std::string_view(answer).substr(0, cut), std::string_view(answer).substr(cut)}) {
    reader.feed(as_bytes(part));
    while (const auto one = reader.next())
      out += "lpse"[static_cast<int>(one->kind)] + std::string(as_text(one->bytes)) + ";";
  }
  return out + (reader.broken() ? "broken" : reader.complete() ? "complete" : "more");
}

TEST(PullAnswer, IsTakenApartHoweverItIsCut) {
  const std::string second = lines({"shallow-info\n", "shallow " + k_id, "|", "packfile\n"}) +
                             band_pkts(2, "counting\r") + band_pkts(1, "PACK") + band_pkts(1, "") +
                             band_pkts(1, "more") + "0000";
  const std::string expected = "l" + pkt("shallow-info\n") + ";l" + pkt("shallow " + k_id) +
                               ";l0001;l" + pkt("packfile\n") + ";scounting\r;pPACK;pmore;complete";
  for (std::size_t cut = 0; cut <= second.size(); ++cut)
    EXPECT_EQ(told(second, true, cut), expected) << cut;
  const std::string first = lines({"shallow " + k_id, "", "ACK " + k_id + " common\n", "NAK\n"}) +
                            band_pkts(1, "PACK") + band_pkts(3, "dies") + "0000";
  EXPECT_EQ(told(first, false, 7), "l" + pkt("shallow " + k_id) + ";l0000;l" +
                                       pkt("ACK " + k_id + " common\n") + ";l" + pkt("NAK\n") +
                                       ";pPACK;edies;complete");
  EXPECT_THAT(told(second.substr(0, second.size() - 4), true, 3), testing::EndsWith("more"));
}

TEST(PullAnswer, ThatIsNotUnderstoodIsBroken) {
  for (const auto& bad:
       {lines({"packfile-uris\n", k_id + " https://x\n"}), lines({"wanted-refs\n"}),
        lines({"packfile\n"}) + pkt("\x04what"), lines({"packfile\n", "|"}),
        lines({"packfile\n"}) + band_pkts(1, "PACK") + "0000" + pkt("x")})
    EXPECT_THAT(told(bad, true, 0), testing::EndsWith("broken"));
  EXPECT_THAT(told(pkt("PACK without a band"), false, 0), testing::EndsWith("broken"));
}

PushHead head_of(const std::string& text) {
  PktReader reader;
  reader.feed(as_bytes(text));
  PushHead head;
  while (head.state() == PushHead::State::more) {
    const auto packet = reader.next();
    if (!packet) break;
    head.take(*packet);
  }
  return head;
}

TEST(PushHead, IsReadAndWrittenAnew) {
  const PushHead head =
      head_of(lines({k_zero + " " + k_id +
                         " refs/heads/main\0 report-status side-band-64k push-options x=1"s,
                     k_other + " " + k_zero + " refs/heads/old", "", "option one", ""}) +
              "PACK");
  ASSERT_EQ(head.state(), PushHead::State::complete);
  ASSERT_EQ(head.updates().size(), 2u);
  EXPECT_EQ(head.updates()[0].name, "refs/heads/main");
  EXPECT_TRUE(head.updates()[1].deletes());
  EXPECT_FALSE(head.deletes_only());
  EXPECT_TRUE(head.asks("side-band-64k"));
  EXPECT_EQ(head.text(), lines({k_zero + " " + k_id +
                                    " refs/heads/main\0 report-status side-band-64k push-options"s,
                                k_other + " " + k_zero + " refs/heads/old", "", "option one", ""}));
}

TEST(PushHead, ThatIsNotUnderstoodDoesNotPass) {
  for (const auto& bad: {lines({"push-cert\0 x"s}), lines({k_zero + " " + k_id + " HEAD"}),
                         lines({k_zero + " " + k_id + " refs/heads/a\nrefs/heads/b"}), lines({"|"}),
                         lines({"shallow x"}),
                         lines({k_zero + " " + k_id + " refs/heads/a",
                                k_zero + " " + k_id + " refs/heads/b\0 atomic"s})})
    EXPECT_EQ(head_of(bad).state(), PushHead::State::broken) << bad;
  EXPECT_TRUE(head_of("0000").updates().empty());
}

TEST(Gunzip, IsBounded) {
  std::string plain(100'000, 'x');
  std::string packed(2000, '\0');
  z_stream stream{};
  ASSERT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  EXPECT_EQ(gunzip(packed, plain.size()), plain);
  EXPECT_FALSE(gunzip(packed, plain.size() - 1));
  EXPECT_FALSE(gunzip(packed + "x", plain.size()));
  EXPECT_FALSE(gunzip(packed.substr(0, packed.size() - 1), plain.size()));
  EXPECT_FALSE(gunzip("plain", 100));
}

TEST(OwnRequests, AskForWhatTheHubOffers) {
  const std::string offers =
      lines({"# service=git-upload-pack\n", "", "version 2\n", "agent=git/2\n",
             "fetch=shallow wait-for-done filter\n", "object-format=sha1\n", ""});
  const auto features = read_features(offers);
  ASSERT_TRUE(features);
  EXPECT_TRUE(features->shallow && features->filter);
  FetchWish wish;
  wish.objects = {*git::Oid::from_hex(k_id), *git::Oid::from_hex(k_other)};
  wish.trees_only = true;
  const std::string asked = fetch_request(*features, wish);
  EXPECT_THAT(asked, HasSubstr("object-format=sha1\n"));
  EXPECT_THAT(asked, HasSubstr("want " + k_other));
  EXPECT_THAT(asked, HasSubstr("deepen 1\n"));
  EXPECT_THAT(asked, HasSubstr("filter blob:none\n"));
  EXPECT_THAT(asked, Not(HasSubstr("thin-pack")));
  EXPECT_TRUE(read_pull_request(asked));
  EXPECT_TRUE(read_pull_request(ref_request(*features, "refs/heads/main")));
  wish.whole_history = true;
  wish.trees_only = false;
  EXPECT_THAT(fetch_request(*features, wish), Not(HasSubstr("deepen")));
  EXPECT_THAT(fetch_request(*features, wish), Not(HasSubstr("filter")));
  wish.trees_only = true;
  const auto plain = read_features(lines({"version 2\n", "fetch\n", ""}));
  ASSERT_TRUE(plain);
  EXPECT_THAT(fetch_request(*plain, wish), Not(HasSubstr("filter")));
  for (const auto& none: {lines({"# service=git-upload-pack\n", "", k_id + " HEAD"s, ""}),
                          lines({"version 2\n", "ls-refs\n", ""}), "version 2"s, ""s})
    EXPECT_FALSE(read_features(none));
}

TEST(OwnRequests, ReadTheRefThatWasAskedFor) {
  const std::string answer =
      lines({k_other + " refs/heads/main2\n", k_id + " refs/heads/main peeled:x\n", ""});
  const auto found = read_ref(answer, "refs/heads/main");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->hex(), k_id);
  EXPECT_FALSE(*read_ref(answer, "refs/heads/mai"));
  EXPECT_FALSE(read_ref(lines({"what\n", ""}), "refs/heads/main"));
  EXPECT_FALSE(read_ref(answer.substr(0, answer.size() - 6), "refs/heads/main"));
}

} // namespace
} // namespace hubgate::proxy
