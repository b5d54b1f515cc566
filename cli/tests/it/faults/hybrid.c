/* The SDK's 17 functions: pages and media from one library (the simulator), decryption from
 * another (Tencent's own). HYBRID_PAGES and HYBRID_DECRYPT name them. Texts are copied into
 * slices of this library's own, since each library knows only the objects that it made. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Sdk Sdk;
typedef struct { char *buf; int len; } Slice;
typedef struct Media Media;

static void *open_named(const char *variable) {
    const char *path = getenv(variable);
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) { fprintf(stderr, "hybrid: %s: %s\n", variable, path ? dlerror() : "not set"); abort(); }
    return library;
}
static void *pages(const char *name) {
    static void *library;
    if (!library) library = open_named("HYBRID_PAGES");
    return dlsym(library, name);
}
static void *decryption(const char *name) {
    static void *library;
    if (!library) library = open_named("HYBRID_DECRYPT");
    return dlsym(library, name);
}

Slice *NewSlice(void) { return calloc(1, sizeof(Slice)); }
void FreeSlice(Slice *s) { if (s) { free(s->buf); free(s); } }
char *GetContentFromSlice(Slice *s) { return s->buf; }
int GetSliceLen(Slice *s) { return s->len; }

/* Calls `call` with a slice of that library's own, and copies what it holds. */
#define INTO(of, mine, call)                                                       \
    Slice *theirs = ((Slice *(*)(void))of("NewSlice"))();                          \
    int code = call;                                                               \
    int length = ((int (*)(Slice *))of("GetSliceLen"))(theirs);                    \
    char *text = ((char *(*)(Slice *))of("GetContentFromSlice"))(theirs);          \
    free(mine->buf);                                                               \
    mine->len = text ? length : 0;                                                 \
    mine->buf = calloc(1, mine->len + 1);                                          \
    if (text) memcpy(mine->buf, text, mine->len);                                  \
    ((void (*)(Slice *))of("FreeSlice"))(theirs);                                  \
    return code

int DecryptData(const char *key, const char *sealed, Slice *out) {
    int (*real)(const char *, const char *, Slice *) = decryption("DecryptData");
    INTO(decryption, out, real(key, sealed, theirs));
}
int GetChatData(Sdk *sdk, unsigned long long seq, unsigned int limit, const char *proxy, const char *passwd, int timeout, Slice *out) {
    int (*real)(Sdk *, unsigned long long, unsigned int, const char *, const char *, int, Slice *) = pages("GetChatData");
    INTO(pages, out, real(sdk, seq, limit, proxy, passwd, timeout, theirs));
}
Sdk *NewSdk(void) { return ((Sdk *(*)(void))pages("NewSdk"))(); }
int Init(Sdk *sdk, const char *corpid, const char *secret) {
    return ((int (*)(Sdk *, const char *, const char *))pages("Init"))(sdk, corpid, secret);
}
void DestroySdk(Sdk *sdk) { ((void (*)(Sdk *))pages("DestroySdk"))(sdk); }
int GetMediaData(Sdk *sdk, const char *index, const char *id, const char *proxy, const char *passwd, int timeout, Media *m) {
    int (*real)(Sdk *, const char *, const char *, const char *, const char *, int, Media *) = pages("GetMediaData");
    return real(sdk, index, id, proxy, passwd, timeout, m);
}
Media *NewMediaData(void) { return ((Media *(*)(void))pages("NewMediaData"))(); }
void FreeMediaData(Media *m) { ((void (*)(Media *))pages("FreeMediaData"))(m); }
char *GetOutIndexBuf(Media *m) { return ((char *(*)(Media *))pages("GetOutIndexBuf"))(m); }
char *GetData(Media *m) { return ((char *(*)(Media *))pages("GetData"))(m); }
int GetIndexLen(Media *m) { return ((int (*)(Media *))pages("GetIndexLen"))(m); }
int GetDataLen(Media *m) { return ((int (*)(Media *))pages("GetDataLen"))(m); }
int IsMediaDataFinish(Media *m) { return ((int (*)(Media *))pages("IsMediaDataFinish"))(m); }
