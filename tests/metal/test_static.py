"""The static checks find what Metal's compiler would refuse."""

import importlib.util

import library
import pytest
from needs import missing

if importlib.util.find_spec("clang") is None:
    missing("libclang", "needs libclang: pip install libclang==18.1.1")

from static.check import check_text
from static.textual import forbidden

PARAMS = """\
#pragma once
// The length of a row.
struct Params {
  int rows;
  int step[3];
};
"""
KERNEL = """\
struct Place {
  int row;
  long offset;
};

// A device function: words of Metal's in comments do no harm.
METAL_FUNC Place place_of(THREAD const Place& last, const CONSTANT Params* p) {
  Place next;
  next.row = min(last.row + 1, p->rows);
  next.offset = last.offset + long(p->step[0]) * next.row;
  return next;
}

template <typename T, int N>
METAL_FUNC void scale(
    const DEVICE T* x,
    DEVICE T* y,
    const CONSTANT Params* p,
    THREADGROUP T* tile,
    uint3 tgid,
    uint sg,
    uint lane) {
  static_assert(N % 8 == 0, "the threadgroup's device memory");
  Place place;
  place.row = int(tgid.x);
  place.offset = 0l;
  place = place_of(place, p);
  const int i = int(sg * 32 + lane);
  if (i < N) {
    *(THREADGROUP uint4*)(tile + i * 8) = *(const DEVICE uint4*)(x + i * 8);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_matrix<T, 8, 8> a;
  simdgroup_matrix<float, 8, 8> sum;
  sum = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  simdgroup_load(a, tile, N, ulong2(0), true);
  simdgroup_multiply_accumulate(sum, a, a, sum);
  const float total = simd_sum(fma(float(x[i]), 0.5f, float(N)));
  y[place.offset] = i < p->rows ? x[i] : T(0.0f);
  y[1] = T(simd_shuffle_xor(total, 1) * max(N, p->step[1]));
  // place
}

KERNEL(CT_THREADS) CT_NAME(
    const DEVICE CT_T* x BUFFER(0),
    DEVICE CT_T* y BUFFER(1),
    const CONSTANT Params* p BUFFER(2) KERNEL_IDS) {
  KERNEL_IDS_INIT
  TG_ARRAY(CT_T, tile, [64]);
  TG_ARRAY(int4, places, [8]);
  places[0] = int4(p->rows, 1, 2, 3);
  scale<CT_T, 8>(x, y, p, tile, tgid, sg, lane);
}
"""
# Statements in the place of "// place" in the kernel above, and who refuses
# them.
REFUSED_STATEMENTS = {
    "device to threadgroup": ("plain opencl", "const THREADGROUP T* q = x;"),
    "threadgroup to device": ("plain opencl", "const DEVICE T* q = tile;"),
    "constant to thread": ("plain opencl", "THREAD const int* q = p->step;"),
    "cast between spaces": ("opencl", "y[2] = *(THREADGROUP T*)y;"),
    "unqualified pointer": ("text plain", "const T* q = x;"),
    "unqualified pointer of a local": ("text", "int* q = &place.row;"),
    "unqualified reference": ("text", "auto& q = place;"),
    "unqualified cast": ("text opencl", "place.row = *(int*)&p->rows;"),
    "pointer to pointer": ("text", "const DEVICE T** q = &x;"),
    "write to constant": ("plain conversions opencl", "p->rows = 1;"),
    "write to an input": ("plain conversions opencl", "x[0] = T(1.0f);"),
    "struct copied from constant": ("plain opencl", "Params q = *p;"),
    "threadgroup memory in a function": (
        "opencl",
        "TG_ARRAY(float, more, [4]);",
    ),
    "array of variable length": ("plain conversions opencl", "int q[p->rows];"),
    "array of no elements": (
        "plain conversions opencl",
        "int q[sizeof(T) / 8];",
    ),
    "bfloat from float": ("conversions", "y[2] = total;"),
    "bfloat from a product": ("conversions", "T q = x[0] * 2.0f;"),
    "bfloat in min": ("plain", "y[2] = min(x[0], x[1]);"),
    "bfloat in simd_sum": (
        "plain conversions opencl",
        "y[2] = T(simd_sum(x[0]));",
    ),
    "mixed types in min": (
        "plain conversions opencl",
        "y[2] = T(min(place.row, place.offset));",
    ),
    "mixed types in fma": (
        "plain conversions opencl",
        "y[2] = T(fma(x[0], 1.0f, 2.0f));",
    ),
    "matrix from constant": (
        "plain opencl",
        "simdgroup_load(sum, (const CONSTANT float*)p);",
    ),
    "matrix of another type": (
        "plain conversions opencl",
        "simdgroup_load(sum, tile);",
    ),
    "matrix stored to an input": (
        "plain conversions opencl",
        "simdgroup_store(a, x);",
    ),
    "matrix sum in T": (
        "plain conversions opencl",
        "simdgroup_multiply_accumulate(a, a, a, a);",
    ),
    "matrix operand that is no lvalue": (
        "plain conversions opencl",
        "simdgroup_multiply_accumulate(sum, a, decltype(a)(a), sum);",
    ),
    "matrix of another size": (
        "plain conversions opencl",
        "simdgroup_matrix<T, 4, 4> q;",
    ),
    "vector of too few": (
        "plain conversions opencl",
        "y[2] = T(float(int4(1, 2, 3).x));",
    ),
}
# Texts that `forbidden` names, each with its rule's first words.
FORBIDDEN = {
    "int kernel = 3;": "an address space",
    "p->device = 1;": "an address space",
    'f("a", thread);': "an address space",
    "// \N{MULTIPLICATION SIGN}": "not ASCII",
    "double x;": "a type",
    "long long x;": "a type",
    "unsigned long int long x;": "a type",
    "static int x = 0;": "not in Metal's C++",
    "goto end;": "not in Metal's C++",
    "x = new int;": "not in Metal's C++",
    "delete x;": "not in Metal's C++",
    "virtual void f();": "not in Metal's C++",
    '__asm("air.x");': "not in Metal's C++",
    "struct A : B {};": "a derived class",
    "auto f = [&](int i) { return i; };": "a lambda",
    "f([] { return 1; });": "a lambda",
    "[[unroll]] for (;;) {}": "an attribute",
    "#pragma unroll": "a pragma",
    "#include <metal_stdlib>": "an include",
    "x = 0.5 * y;": "a number",
    "x = 1e-3;": "a number",
    "void f(const float* x);": "a pointer or reference",
    "template <typename T> void f(T && x);": "a pointer or reference",
    "void f(simdgroup_matrix<T, 8, 8>& x);": "a pointer or reference",
    "void f(DEVICE float* * x);": "a pointer or reference",
    "void f(THREAD int x[4]);": "an array as a parameter",
    "int f(int n) { return n > 0 ? f(n - 1) : 0; }": "a function that calls",
    "int f(int n);\nint g() { return f(1); }\nint f(int n) { return g(); }": (
        "a function that calls"
    ),
    "KERNEL(32) k(DEVICE int* x BUFFER(1), DEVICE int* y BUFFER(0)) {}": (
        "buffers not numbered"
    ),
}
ALLOWED = """\
#pragma once
/* static double x; */ // thread
static_assert(sizeof(float) * 2 == 8, "a thread's share of the kernel");
template <typename T, int N> void f(DEVICE T* x, THREAD T (&y)[N], int n);
float g = n > 0 && n * N > 1 ? 0x1p3f * 1.5f : 2.f;
bool h = a < b && c > *d;
uint64_t i = 1e3f;
int j(int n) { if (n > 0) { return g(n); } for (int j_ = 0;;) { x[j_] = {}; } }
"""


def check(kernel_text, element="bfloat"):
    defines = (
        f"#define CT_NAME scale_it\n#define CT_T {element}\n"
        "#define CT_THREADS 64\n"
    )
    return check_text(defines + PARAMS + kernel_text)


@pytest.mark.parametrize("element", ["float", "half", "bfloat"])
def test_clean_kernel(element):
    assert check(KERNEL, element) == []


@pytest.mark.parametrize("name", REFUSED_STATEMENTS)
def test_refused_statement(name):
    rules, statement = REFUSED_STATEMENTS[name]
    found = check(KERNEL.replace("// place", statement))
    before = PARAMS + KERNEL[: KERNEL.index("// place")]
    line = 3 + before.count("\n") + 1
    assert {message.split(": ")[0] for message in found} == {
        f"{rule} {line}" for rule in rules.split()
    }


def test_refused_outside_of_functions():
    assert check("constexpr int SIDE = 8;\n" + KERNEL) == [
        "plain 10: variable 'SIDE' outside of a function must be CONSTANT"
    ]
    assert check("CONSTANT constexpr int SIDE = 8;\n" + KERNEL) == []


@pytest.mark.parametrize("threads", ["33", "1056"])
def test_refused_size(threads):
    found = check(KERNEL.replace("CT_THREADS", threads))
    assert all("1 to 32 whole SIMD-groups" in message for message in found)
    assert len(found) == 3


@pytest.mark.parametrize("text", FORBIDDEN)
def test_forbidden(text):
    found = forbidden("\n" + text)
    assert found
    for message in found:
        assert message.split(": ")[1].startswith(FORBIDDEN[text])


def test_allowed():
    assert forbidden(ALLOWED) == []


def test_shipped_specialisations():
    specialisations = library.specialisations()
    found = {each.name: check_text(each.text) for each in specialisations}
    assert found
    assert {name: errors for name, errors in found.items() if errors} == {}
