#include "hook/daemon/wire.hpp"

#include "scanner/worker/frames.hpp"

namespace hubgate::daemon {
namespace {

constexpr std::uint8_t k_long = 1;
constexpr std::uint8_t k_attached = 2;
constexpr std::size_t k_groups = 64;
constexpr std::size_t k_blockers = 10'000;

// One of an enumeration's values, the last of which is `most`.
template <typename Enum> std::optional<Enum> get_enum(Reader& in, Enum most) {
  const auto value = in.le<std::uint8_t>();
  if (!value || *value > static_cast<std::uint8_t>(most)) return std::nullopt;
  return static_cast<Enum>(*value);
}

std::optional<bool> get_flag(Reader& in) {
  const auto value = in.le<std::uint8_t>();
  if (!value || *value > 1) return std::nullopt;
  return *value == 1;
}

std::optional<Sha256> get_sha256(Reader& in) {
  const auto bytes = in.take(std::tuple_size_v<Sha256>);
  if (!bytes) return std::nullopt;
  Sha256 out{};
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

bool get_into(Reader& in, std::initializer_list<std::string*> fields) {
  for (std::string* field: fields) {
    auto value = get_text(in);
    if (!value) return false;
    *field = std::move(*value);
  }
  return true;
}

} // namespace

std::vector<std::uint8_t> header_bytes(const Header& header) {
  Out out;
  out.u8(static_cast<std::uint8_t>(header.type));
  out.u8(static_cast<std::uint8_t>((header.long_payload ? k_long : 0) |
                                   (header.attached ? k_attached : 0)));
  return out.u32(header.id).u64(header.length).bytes();
}

std::optional<Header> read_header(Bytes datagram) {
  Reader in(datagram);
  const auto type = in.le<std::uint8_t>();
  const auto flags = in.le<std::uint8_t>();
  const auto id = in.le<std::uint32_t>();
  const auto length = in.le<std::uint64_t>();
  if (!type || !flags || !id || !length || *flags > (k_long | k_attached)) return std::nullopt;
  const bool question = *type >= 1 && *type <= static_cast<std::uint8_t>(Type::remember);
  const bool answer = *type == static_cast<std::uint8_t>(Type::done) ||
                      *type == static_cast<std::uint8_t>(Type::failed);
  if (!question && !answer) return std::nullopt;
  if (*length > (question ? k_max_question : k_max_answer)) return std::nullopt;
  Header out{static_cast<Type>(*type), (*flags & k_long) != 0, (*flags & k_attached) != 0, *id,
             *length};
  if (in.remaining() != (out.long_payload ? 0 : *length)) return std::nullopt;
  return out;
}

Out& Out::number(std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i)
    bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  return *this;
}

Out& Out::raw(Bytes bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

Out& Out::text(std::string_view value) {
  u32(static_cast<std::uint32_t>(value.size()));
  return raw(as_bytes(value));
}

Out& Out::texts(const std::vector<std::string>& values) {
  u32(static_cast<std::uint32_t>(values.size()));
  for (const auto& value: values)
    text(value);
  return *this;
}

std::optional<std::string> get_text(Reader& in) {
  const auto length = in.le<std::uint32_t>();
  if (!length) return std::nullopt;
  const auto bytes = in.take(*length);
  if (!bytes) return std::nullopt;
  return std::string(as_text(*bytes));
}

// The frames of a worker's answer: they are bounded, and read by what reads those.
void put(Out& out, const Report& report) {
  std::vector<std::uint8_t> all;
  const auto add = [&](const std::vector<std::uint8_t>& frame) {
    all.insert(all.end(), frame.begin(), frame.end());
  };
  for (const auto& finding: report.findings)
    add(frames::encode(0, finding));
  for (const auto& gap: report.gaps)
    add(frames::encode(0, gap));
  for (const auto& reference: report.references)
    add(frames::encode(0, reference));
  frames::Writer done(frames::Type::done, 0);
  done.u64(report.size).u64(report.dropped);
  for (const char c: report.format.substr(0, 64))
    done.u8(static_cast<std::uint8_t>(c));
  add(done.bytes());
  out.u32(static_cast<std::uint32_t>(all.size())).raw(all);
}

std::optional<Report> get_report(Reader& in) {
  const auto length = in.le<std::uint32_t>();
  if (!length) return std::nullopt;
  const auto bytes = in.take(*length);
  if (!bytes) return std::nullopt;
  AnswerReader reader;
  reader.feed(*bytes);
  if (!reader.done()) return std::nullopt;
  return std::move(reader.report());
}

void put(Out& out, const Analysis& analysis) {
  out.raw(analysis.digest.sha256).u64(analysis.digest.size);
  put(out, analysis.report);
}

std::optional<Analysis> get_analysis(Reader& in) {
  Analysis out;
  const auto sha256 = get_sha256(in);
  const auto size = in.le<std::uint64_t>();
  if (!sha256 || !size) return std::nullopt;
  out.digest.sha256 = *sha256;
  out.digest.size = *size;
  auto report = get_report(in);
  if (!report) return std::nullopt;
  out.report = std::move(*report);
  return out;
}

void put(Out& out, const Context& context) {
  out.u8(static_cast<std::uint8_t>(context.direction));
  out.u8(static_cast<std::uint8_t>(context.road));
  out.u64(context.size).u8(context.sha256 ? 1 : 0);
  if (context.sha256) out.raw(*context.sha256);
  for (const std::string* field: {&context.hub, &context.repo, &context.revision, &context.path,
                                  &context.user, &context.from, &context.client})
    out.text(*field);
  out.texts(context.groups);
}

std::optional<Context> get_context(Reader& in) {
  Context out;
  const auto direction = get_enum(in, Direction::push);
  const auto road = get_enum(in, Road::scan);
  const auto size = in.le<std::uint64_t>();
  const auto hashed = get_flag(in);
  if (!direction || !road || !size || !hashed) return std::nullopt;
  out.direction = *direction;
  out.road = *road;
  out.size = *size;
  if (*hashed) {
    out.sha256 = get_sha256(in);
    if (!out.sha256) return std::nullopt;
  }
  if (!get_into(in,
                {&out.hub, &out.repo, &out.revision, &out.path, &out.user, &out.from, &out.client}))
    return std::nullopt;
  auto groups = get_list(in, k_groups, get_text);
  if (!groups) return std::nullopt;
  out.groups = std::move(*groups);
  return out;
}

void put(Out& out, const Decision& decision) {
  out.u8(static_cast<std::uint8_t>(decision.action));
  out.u8(static_cast<std::uint8_t>(decision.would_be));
  out.u8(static_cast<std::uint8_t>(decision.mode));
  out.u8(static_cast<std::uint8_t>(decision.verdict));
  out.u8(decision.inconclusive ? 1 : 0);
  out.u8(decision.waiver ? 1 : 0);
  out.u64(static_cast<std::uint64_t>(decision.waiver.value_or(0)));
  for (const std::string* field:
       {&decision.rule, &decision.would_be_rule, &decision.reason, &decision.id})
    out.text(*field);
  out.texts(decision.blockers);
  // What decided, as a report of its own.
  Report cause;
  if (decision.finding) cause.findings.push_back(*decision.finding);
  if (decision.gap) cause.gaps.push_back(*decision.gap);
  put(out, cause);
}

std::optional<Decision> get_decision(Reader& in) {
  Decision out;
  const auto action = get_enum(in, Action::quarantine);
  const auto would_be = get_enum(in, Action::quarantine);
  const auto mode = get_enum(in, Mode::off);
  const auto verdict = get_enum(in, VerdictKind::malicious);
  const auto inconclusive = get_flag(in);
  const auto waived = get_flag(in);
  const auto waiver = in.le<std::uint64_t>();
  if (!action || !would_be || !mode || !verdict || !inconclusive || !waived || !waiver)
    return std::nullopt;
  out.action = *action;
  out.would_be = *would_be;
  out.mode = *mode;
  out.verdict = *verdict;
  out.inconclusive = *inconclusive;
  if (*waived) out.waiver = static_cast<std::int64_t>(*waiver);
  if (!get_into(in, {&out.rule, &out.would_be_rule, &out.reason, &out.id})) return std::nullopt;
  auto blockers = get_list(in, k_blockers, get_text);
  auto cause = blockers ? get_report(in) : std::nullopt;
  if (!cause || cause->findings.size() > 1 || cause->gaps.size() > 1) return std::nullopt;
  out.blockers = std::move(*blockers);
  if (!cause->findings.empty()) out.finding = std::move(cause->findings.front());
  if (!cause->gaps.empty()) out.gap = std::move(cause->gaps.front());
  return out;
}

void put(Out& out, const ObjectKey& key) {
  out.raw(key.sha256).u64(key.size);
}

std::optional<ObjectKey> get_key(Reader& in) {
  const auto sha256 = get_sha256(in);
  const auto size = in.le<std::uint64_t>();
  if (!sha256 || !size) return std::nullopt;
  return ObjectKey{*sha256, *size};
}

void put(Out& out, const git::Oid& oid) {
  out.u8(oid.size).raw(oid.view());
}

std::optional<git::Oid> get_oid(Reader& in) {
  const auto size = in.le<std::uint8_t>();
  if (!size || (*size != git::Oid::k_sha1 && *size != git::Oid::k_sha256)) return std::nullopt;
  const auto bytes = in.take(*size);
  if (!bytes) return std::nullopt;
  return git::Oid::from_bytes(*bytes);
}

void put(Out& out, const Hello& hello) {
  out.u32(hello.protocol).text(hello.engine).text(hello.repo).text(hello.git_dir);
}

std::optional<Hello> get_hello(Reader& in) {
  Hello out;
  const auto protocol = in.le<std::uint32_t>();
  if (!protocol || !get_into(in, {&out.engine, &out.repo, &out.git_dir})) return std::nullopt;
  out.protocol = *protocol;
  return out;
}

void put(Out& out, const Welcome& welcome) {
  out.text(welcome.policy_name).text(welcome.policy);
}

std::optional<Welcome> get_welcome(Reader& in) {
  Welcome out;
  if (!get_into(in, {&out.policy_name, &out.policy})) return std::nullopt;
  return out;
}

void put(Out& out, const std::vector<BatchItem>& items) {
  out.u32(static_cast<std::uint32_t>(items.size()));
  for (const auto& item: items)
    out.u64(item.offset).u64(item.length);
}

std::optional<std::vector<BatchItem>> get_items(Reader& in, std::uint64_t size) {
  return get_list(in, k_max_items, [&](Reader& reader) -> std::optional<BatchItem> {
    const auto offset = reader.le<std::uint64_t>();
    const auto length = reader.le<std::uint64_t>();
    if (!offset || !length || *offset > size || *length > size - *offset) return std::nullopt;
    return BatchItem{*offset, *length};
  });
}

} // namespace hubgate::daemon
