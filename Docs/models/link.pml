/*
 * The pair's own arbitration (`link`): grant, lease, release, eligibility and epoch of two controllers that ask nobody
 * else. README.md says what is modelled, which bounds hold and what was found.
 *
 * One process, `world`, is the clock: per tick the environment may do something, controller 0 acts, the environment may do
 * something, controller 1 acts, every clock goes on. To act is to read everything that has come, to decide, to speak, to
 * send one beat. Nothing is numbered absolutely: of a beat's number only its age and its statement (which of the sender's
 * successive statements it belongs to) matter, so runs have no end and equal situations are one state.
 *
 * Macros: FAULTS LOSSES SKEW (budgets), F_x (which faults there are), BUG_x (mistakes put back), OLD_x (a rule as it was
 * before the model found it wanting).
 */
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef LOSSES
#define LOSSES 0                /* beats lost or late on all paths, per run; never more than two in a row of one direction */
#endif
#ifndef SKEW
#define SKEW 0                  /* ticks by which clocks may part, per run */
#endif
#ifndef D
#define D 5                     /* detection */
#endif
#ifdef BUG_DRIFT
#define DD 4                /* the standby does not wait for the holder's lease */
#else
#define DD (D+1)                /* D' */
#endif
#ifndef S
#define S 12                    /* stale take-over delay */
#endif
#ifdef OLD_W
#define W 2
#else
#define W 3                     /* as many beats as it takes until one has surely come through */
#endif
#ifdef OLD_STALL
#define G D                     /* a stall: so long not run */
#else
#define G 2
#endif
#define LONG (S-DD)             /* so long not run that a stale twin may have started anew meanwhile */
#define PATIENCE 2              /* a releasing holder waits so long for its twin */
#define LIVE (4*S)              /* property 6 and 7: so long after the last event */

/* States, the design's words. `doubting` is the bit `doubt` beside any of them. */
#define dead 0
#define booting 1
#define stale 2
#define current 3
#define releasing 4
#define reclaiming 5
#define bound 6
#define renouncing 7
#define alone 8
#define isHolder(s) ((s) >= bound)
#define holdsCopy(s) ((s) >= current)

#define INSYNC 1
#define NOSYNC 2
#define RELINQUISH 3
#define TOOK 4

#define NONE 15

#define next(x,e) ((((e) & 1) == (x)) -> (e) + 2 : (e) + 1)
#define newer(a,b) (((32 + (a) - (b)) & 31) < 16)      /* statement a is not older than statement b */
#define larger(a,b) ((a) > (b) -> (a) : (b))

/* Controllers. */
byte st[2];                     /* state */
bit doubt[2];
bit frozen[2];
byte gap[2];                    /* for how long it has not run */
byte ep[2];                     /* holder: its epoch; else the greatest it knows; what is stored */
byte nonce[2], known[2];        /* own; the twin's that counts */
byte stm[2];                    /* the statement that its beats make */
byte hn[2], hs[2], ha[2];       /* echo: nonce, statement and age of the newest beat heard */
byte kt[2];                     /* the twin's state in the newest beat that counted */
bit kc[2];                      /* the twin's carrier in it */
byte ack[2];                    /* age of the newest own beat that was echoed */
byte sil[2];                    /* heard on no path */
byte quiet[2];                  /* no holder heard */
byte wt[2];                     /* since the statement of now was first sent */
byte ss[2];                     /* current: statement of the inSync */
bit gone[2];                    /* the process that our relation was with is known dead */
bit clean[2];                   /* and its stream was read in order to its end */
bit same[2];                    /* the channel is the one by which the twins became a pair */
bit asked[2];                   /* relinquish came */
bit carr[2];                    /* carrier */
bit host[2];                    /* the host runs */

/* Beats on their way to x: the newest that is not read. */
bit mv[2];
byte mn[2], ms[2], mst[2], mep[2], ma[2], en[2], es[2], ea[2];
bit md[2], mc[2];

/* Channel: as x sees it; what is to be read; how it ends after that (1 lost, 2 closed by death, whole). */
bit ch[2];
byte ce[2];
chan q0 = [4] of { byte, byte, byte };
chan q1 = [4] of { byte, byte, byte };

/* World. lk/sg: link and segment work towards x. */
bit lk[2], sg[2];
bit exempt;                     /* there was a total cut: the stated price */
bit has[2];                     /* x's copy has every committed record */
bit sp[2];                      /* x spoke when it last acted */
byte faults, losses, skew, handovers;
byte run2[2];                   /* beats lost in a row, towards x */
byte well, mute, idle;
bit event;
bit turn;                       /* who acts next */

/* scratch, always zero between steps */
hidden byte x, y, z, t1, t2, t3, t4, how, fresh;
hidden byte counts, isKnown, ke, refused;

#ifdef OLD_LEASE
#define sure(z) true
#else
#define sure(z) (!doubt[z] && !gone[z])         /* in doubt it is silent; a new process of the twin renews nothing */
#endif
#define segWorks(z) (sg[z] && carr[0] && carr[1])
#define canOpen (st[0] != dead && st[1] != dead && !frozen[0] && !frozen[1] && lk[0] && lk[1] && !ch[0] && !ch[1] && ce[0] == 0 && ce[1] == 0)
#ifdef OLD_RETIRED
#define retired false
#else
#define retired (known[x] != NONE && mn[x] == ((known[x] + 7) & 7))   /* the nonce before the one that counts */
#endif
#ifdef OLD_BOTHDOUBT
#define stepsDown (!md[x] && mep[x] > ep[x])
#else
/* who doubts yields to any holder; who does not, to a greater epoch whose holder does not doubt either */
#define stepsDown (doubt[x] || (!md[x] && mep[x] > ep[x]))
#endif
#ifdef OLD_PROCESS
#define sameProcess true
#else
#define sameProcess (!gone[x])
#endif
#ifdef OLD_STREAM
#define sameChannel true
#else
#define sameChannel same[x]
#endif
#define path(z) (lk[z] || segWorks(z))
#define right(z) ((st[z] == alone && !doubt[z] && reservedLease(z) && voteLease(z)) || ((st[z] == bound || st[z] == renouncing) && ack[z] < D && sure(z)))

/* The third vote: one word, changed as a whole, and how long ago its holder renewed. */
#ifdef VOTE
#define VL 3                    /* its lease, as its holder counts */
byte vep = 2, vcur = 3, vl = 5; /* epoch; whose copies are current; age of the lease, as the vote counts */
byte va[2] = VL;                /* age of x's newest renewal */
bit vr[2] = 1;                  /* x reaches the vote */
#define silenceCounts (vr[x] && vep <= ep[x] && ((vcur >> x) & 1))
#ifdef OLD_REFUSED
#define voteRefuses false
#else
#define voteRefuses (vr[x] && !((vcur >> x) & 1))    /* the word says: not current */
#endif
#define unanswered (ack[x] >= D)       /* heard or not: the word settles it */
#define grantCurrent (vr[x] && ((vcur >> x) & 1))
#ifdef BUG_VOTESTALE
#define grantStale vr[x]
#else
#define grantStale (vr[x] && vl > VL)
#endif
#ifdef BUG_VOTEMUTE
#define voteLease(z) true
#else
#define voteLease(z) (va[z] < VL)
#endif
#ifdef OLD_RENEWMUTE
#define renews true
#else
#define renews (carr[x] || ack[x] < D)
#endif
#define voteKnows (vr[x] && va[x] == 0)
#define voteReached (vr[0] && vr[1])
#else
#define silenceCounts true
#define unanswered (sil[x] >= D)
#define voteRefuses false
#define grantCurrent true
#define grantStale true
#define voteLease(z) true
#define voteKnows true
#define voteReached true
#endif

#ifdef BUG_RESERVED
bit reserved[2];
#define reserve() reserved[x] = 1
#define reservedLease(z) (!reserved[z] || ack[z] < D)
#else
#define reserve() skip
#define reservedLease(z) 1
#endif

inline tell(to, kind, s, e) {
    if
    :: ch[0] && ch[1] && to == 0 && len(q0) < 4 -> q0!kind, s, e
    :: ch[0] && ch[1] && to == 1 && len(q1) < 4 -> q1!kind, s, e
    :: else
    fi
}

inline state() { stm[x] = (stm[x] + 1) & 31; wt[x] = 0 }

inline goStale() {
    st[x] = stale; doubt[x] = 0; gone[x] = 0; clean[x] = 0; asked[x] = 0; ss[x] = 0; quiet[x] = 0
}

/* x becomes holder: how = alone or bound or renouncing; fresh: sessions begin anew. */
#define take(h, f) how = h; fresh = f
inline carryOut() {
    assert(carr[x] || !(isHolder(st[y]) && carr[y]));                    /* 4 */
    if
    :: fresh -> has[x] = 1; has[y] = 0
    :: else -> assert(has[x] || exempt)                                   /* 2, 3 */
    fi;
#ifdef VOTE
    if
    :: how == alone -> ep[x] = larger(ep[x], vep)
    :: else
    fi;
#endif
    ep[x] = next(x, ep[x]);
#ifdef VOTE
    if
    :: how == alone -> vep = ep[x]; vcur = 1 << x; vl = 0; va[x] = 0
    :: else
    fi;
#endif
    st[x] = how; doubt[x] = 0; gone[x] = 0; clean[x] = 0; asked[x] = 0; ss[x] = 0;
    state();
    tell(y, TOOK, stm[x], ep[x]);
    how = 0; fresh = 0
}

inline dropQueue(u) {
    if
    :: u == 0 -> do :: len(q0) > 0 -> q0?_,_,_ :: else -> break od
    :: else -> do :: len(q1) > 0 -> q1?_,_,_ :: else -> break od
    fi;
    skip
}

/* x reads the beat in m*[x], or the twin's hello. */
inline readBeat() {
    isKnown = (mn[x] == known[x]);
    hn[x] = mn[x]; hs[x] = ms[x]; ha[x] = ma[x];
    counts = isKnown || (en[x] == nonce[x] && ea[x] < D && !retired);
#ifdef BUG_ANYNONCE
    counts = 1;
#endif
    ke = (en[x] == nonce[x] && es[x] == stm[x]);
    if
    :: counts ->
        if
        :: !isKnown ->
            if
            :: known[x] != NONE && st[x] >= current && (st[x] != alone || doubt[x]) -> gone[x] = 1
            :: else
            fi;
            if
            :: ch[x] && ce[x] == 0 -> ce[x] = 1; ce[y] = (ch[y] && ce[y] == 0 -> 1 : ce[y])      /* the other end is gone */
            :: else
            fi;
#ifndef OLD_LATEINSYNC
            if
            :: st[x] < current && ch[x] -> dropQueue(x)         /* what it said before it died makes nobody current */
            :: else
            fi;
#endif
            known[x] = mn[x]
        :: else
        fi;
        kt[x] = mst[x]; kc[x] = mc[x];
        sil[x] = 0;
        if
        :: en[x] == nonce[x] && ea[x] < ack[x] && !(isHolder(st[x]) && isHolder(mst[x])) -> ack[x] = ea[x]   /* two holders renew nothing */
        :: else
        fi;
        if
        :: mst[x] >= current -> quiet[x] = 0
        :: else
        fi;
        if
        :: isHolder(st[x]) ->
            if
            :: isHolder(mst[x]) && stepsDown ->
                ep[x] = larger(ep[x], mep[x]); goStale()
            :: else ->
                if
                :: mep[x] > ep[x] && !isHolder(mst[x]) ->
                    if
                    :: doubt[x] -> ep[x] = mep[x]; goStale()     /* somebody was holder meanwhile */
#ifndef BUG_EPOCH
                    :: else -> ep[x] = next(x, mep[x])
#else
                    :: else
#endif
                    fi
                :: else
                fi;
                if
                :: doubt[x] && ke && isKnown && sameProcess && !isHolder(mst[x]) && isHolder(st[x]) -> doubt[x] = 0
                :: else
                fi;
                if
                :: st[x] == renouncing && ke && !holdsCopy(mst[x]) && !doubt[x] && !gone[x] -> st[x] = alone
#ifndef OLD_GAVEUP
                :: st[x] == bound && ke && !holdsCopy(mst[x]) && wt[x] >= W -> st[x] = renouncing; state(); tell(y, NOSYNC, 0, 0)
#endif
                :: else
                fi
            fi
        :: st[x] == releasing || st[x] == reclaiming ->
            if
            :: isHolder(mst[x]) && mep[x] > ep[x] ->
                ep[x] = mep[x];
                if
                :: mst[x] == bound && !md[x] -> st[x] = current; ss[x] = ms[x]; asked[x] = 0; gone[x] = 0
                :: else -> goStale()
                fi
            :: else ->
                if
                :: mep[x] > ep[x] -> ep[x] = mep[x]; goStale()
                :: else ->
                    if
                    :: doubt[x] && ke && isKnown && sameProcess && !isHolder(mst[x]) -> doubt[x] = 0
                    :: else
                    fi;
                    if
                    :: st[x] == reclaiming && ke && !isHolder(mst[x]) && !doubt[x] && !gone[x] -> take(renouncing, 0)
                    :: else
                    fi
                fi
            fi
        :: st[x] == current ->
            ep[x] = larger(ep[x], mep[x]);
            if
            :: isHolder(mst[x]) && !md[x] && mst[x] != bound && newer(ms[x], ss[x]) -> goStale()
            :: else ->
                if
                :: doubt[x] && ke && mst[x] == bound && !md[x] -> doubt[x] = 0
#ifndef OLD_DOUBT
                :: doubt[x] && ke && mst[x] <= current -> goStale()   /* nobody can say that it counts */
#endif
                :: mst[x] == reclaiming -> asked[x] = 0
                :: else
                fi
            fi
        :: else ->
            ep[x] = larger(ep[x], mep[x]);
            if
            :: doubt[x] && ke && isHolder(mst[x]) && !md[x] -> doubt[x] = 0
            :: else
            fi
        fi
    :: else
    fi;
    mv[x] = 0; mn[x] = 0; ms[x] = 0; mst[x] = 0; mep[x] = 0; ma[x] = 0; en[x] = 0; es[x] = 0; ea[x] = 0; md[x] = 0; mc[x] = 0;
    counts = 0; isKnown = 0; ke = 0
}

/* x's beat of now, as it would be read by y */
inline writeBeat(to, from) {
    mv[to] = 1; mn[to] = nonce[from]; ms[to] = stm[from]; mst[to] = st[from]; mep[to] = ep[from]; ma[to] = 0;
    en[to] = hn[from]; es[to] = hs[from]; ea[to] = ha[from]; md[to] = doubt[from]; mc[to] = carr[from]
}

inline readChannel() {
    do
    :: ch[x] && x == 0 && len(q0) > 0 -> q0?t1, t2, t3; readMessage()
    :: ch[x] && x == 1 && len(q1) > 0 -> q1?t1, t2, t3; readMessage()
    :: else -> break
    od;
    if
    :: ch[x] && ce[x] != 0 ->
        ch[x] = 0;
        clean[x] = (ce[x] == 2 && sameChannel);
        same[x] = 0;
        ce[x] = 0
    :: else
    fi;
    t1 = 0; t2 = 0; t3 = 0; t4 = 0
}

#define heardLater (hn[x] == known[x] && hs[x] != t2 && newer(hs[x], t2))

inline readMessage() {
    if
    :: t1 == TOOK || t1 == INSYNC -> t4 = kt[x]; kt[x] = bound
    :: else
    fi;
    if
    :: t1 == INSYNC ->
        if
#ifndef OLD_LATEINSYNC
        :: (st[x] == stale || st[x] == booting) && hn[x] == known[x] && isHolder(t4) && t4 != bound && newer(hs[x], t2)
#endif
        :: (st[x] == stale || st[x] == booting) -> st[x] = current; ss[x] = t2; ep[x] = larger(ep[x], t3); same[x] = 1; gone[x] = 0; quiet[x] = 0
        :: else
        fi
    :: t1 == NOSYNC ->
        if
        :: st[x] == current -> goStale()
        :: else
        fi
    :: t1 == RELINQUISH ->
        if
#ifndef OLD_RELINQUISH
        :: st[x] == current && heardLater
#endif
        :: st[x] == current -> asked[x] = 1
        :: else
        fi
    :: t1 == TOOK ->
        if
        :: isHolder(st[x]) && t3 > ep[x] -> ep[x] = t3; goStale()
#ifndef OLD_TOOKBACK
        :: st[x] == current && t3 > ep[x] -> ep[x] = t3; goStale()
#endif
        :: (st[x] == releasing || st[x] == reclaiming) && t3 > ep[x] -> ep[x] = t3; st[x] = current; ss[x] = t2; gone[x] = 0
        :: else
        fi
    fi
}

#ifdef BUG_NOCARRIER
#define carrier(z) 1
#else
#define carrier(z) carr[z]
#endif

inline decide() {
    refused = (!ch[x] && st[y] == dead && host[y] && lk[0] && lk[1]);
    if
    :: !host[y] && sil[x] >= D && ch[x] -> ch[x] = 0; clean[x] = 0; same[x] = 0; ce[x] = 0
    :: else
    fi;
    if
    :: refused && st[x] >= current && (st[x] != alone || doubt[x]) -> gone[x] = 1
    :: else
    fi;
    if
    :: how != 0
    :: how == 0 && st[x] == bound && (!ch[x] || gone[x] || sil[x] >= D) ->
        st[x] = renouncing; state(); tell(y, NOSYNC, 0, 0)
    :: st[x] == releasing && (!ch[x] || gone[x] || wt[x] >= PATIENCE) ->
        st[x] = reclaiming; state()
    :: else
    fi;
    if
    :: how != 0
    :: how == 0 && st[x] == renouncing && !doubt[x] ->
        if
        :: gone[x] -> st[x] = alone
#ifdef BUG_SAMETICK
        :: !gone[x] -> st[x] = alone
#endif
        :: !gone[x] && unanswered && wt[x] >= W && carrier(x) && silenceCounts -> st[x] = alone
        :: !gone[x] && sil[x] >= DD && wt[x] >= W && !carrier(x) -> goStale()     /* deaf and mute: say so, if anybody hears it */
        :: !gone[x] && sil[x] >= D && wt[x] >= W && voteRefuses -> goStale()
        :: else
        fi
    :: st[x] == renouncing && doubt[x] ->
        if
        :: gone[x] && clean[x] -> st[x] = alone; doubt[x] = 0
        :: !(gone[x] && clean[x]) && (gone[x] || sil[x] >= DD) -> goStale()
        :: else
        fi
    :: st[x] == alone && doubt[x] && (refused || sil[x] >= DD || gone[x]) -> goStale()
    :: st[x] == reclaiming && !doubt[x] ->
        if
        :: gone[x] && grantCurrent -> take(alone, 0)
        :: gone[x] && voteRefuses -> goStale()
#ifndef OLD_RECLAIMMUTE
        :: !gone[x] && sil[x] >= D && !carrier(x) -> goStale()
#endif
#if defined(VOTE) && !defined(OLD_RECLAIMVOTE)
        :: !gone[x] && sil[x] >= DD && carrier(x) && grantCurrent -> take(alone, 0)
        :: !gone[x] && sil[x] >= DD && voteRefuses -> goStale()
#else
        :: !gone[x] && sil[x] >= DD -> take(renouncing, 0)
#endif
#ifdef BUG_RECLAIM
        :: !gone[x] && sil[x] < DD -> take(alone, 0)
#endif
        :: else
        fi
    :: st[x] == reclaiming && doubt[x] ->
        if
        :: gone[x] && clean[x] && grantCurrent -> take(alone, 0)
        :: !(gone[x] && clean[x]) && (gone[x] || sil[x] >= DD) -> goStale()
        :: else
        fi
    :: st[x] == current && !carrier(x) && sil[x] >= D -> goStale()
#ifndef OLD_MUTEHEIR
    /* the twin says that it is not holder and holds nothing: this copy, even without carrier, is what it will be given */
    :: st[x] == current && !doubt[x] && sil[x] < D && (kt[x] == booting || kt[x] == stale) && hn[x] == known[x] && (gone[x] || newer(hs[x], ss[x])) && grantCurrent -> take(alone, 0)
#endif
    :: st[x] == current && !doubt[x] && carrier(x) ->
        if
        :: (gone[x] || sil[x] >= DD) && grantCurrent -> take(alone, 0)
        :: (gone[x] || sil[x] >= DD) && voteRefuses -> goStale()
        :: !(gone[x] || sil[x] >= DD) && asked[x] -> take(bound, 0)
        :: else
        fi
    :: st[x] == current && doubt[x] ->
        if
        :: gone[x] && clean[x] && carrier(x) && grantCurrent -> take(alone, 0)
#ifndef OLD_DOUBT
        :: !(gone[x] && clean[x]) && (gone[x] || sil[x] >= DD) -> goStale()
#endif
        :: else
        fi
    :: (st[x] == stale || st[x] == booting) && carrier(x) ->
        if
        :: refused && grantStale -> take(alone, 1)
#ifdef OLD_ELECTION
        :: !refused && sil[x] >= DD && quiet[x] >= S && grantStale -> take(alone, 1)
#else
        /* silence, or both say for long that there is no holder: the first of those with carrier */
        :: !refused && quiet[x] >= S && (x == 0 || sil[x] >= DD || !kc[x]) && grantStale -> take(alone, 1)
#endif
        :: else
        fi
    :: else
    fi;
    if
    :: how != 0 -> carryOut()
    :: else
    fi;
#ifdef VOTE
    if
    /* who has no carrier and hears no twin lets the lease go */
    :: st[x] == alone && vr[x] && vep <= ep[x] && ((vcur >> x) & 1) && !renews ->
        if
        :: va[x] >= VL -> goStale()
        :: else
        fi
    :: st[x] == alone && vr[x] && vep <= ep[x] && ((vcur >> x) & 1) && renews -> vep = ep[x]; vcur = 1 << x; vl = 0; va[x] = 0
    :: st[x] == alone && vr[x] && !(vep <= ep[x] && ((vcur >> x) & 1)) -> goStale()
    :: else
    fi;
#endif
    if
    :: st[x] == alone -> gone[x] = 0; clean[x] = 0
    :: else
    fi;
    refused = 0
}

/* Bulk update, records, digests: the twin is there, not frozen and says that it holds nothing. */
inline synchronise() {
    if
    :: st[x] == alone && !doubt[x] && ch[x] && ch[y] && ce[x] == 0 && ce[y] == 0 && !frozen[y] && sil[x] < D && (kt[x] == stale || kt[x] == booting) && (st[y] == stale || st[y] == booting) && ack[x] < D && ep[y] <= ep[x] && voteKnows ->
#ifdef VOTE
        vcur = 3;
#endif
        st[x] = bound; same[x] = 1; has[y] = has[x]; state(); tell(y, INSYNC, stm[x], ep[x])
    :: else
    fi
}

inline speak() {
    sp[x] = right(x) && carr[x];
    if
    :: sp[x] ->
        assert(exempt || !(sp[y] && right(y)));                           /* 1 */
        assert(exempt || has[x]);                                         /* 2, 3 */
        if
        :: st[x] == alone -> has[y] = 0                                   /* commits alone */
        :: else
        fi
    :: else
    fi;
    assert(!(st[x] == alone && !doubt[x]) || right(x) || !voteReached || !(carr[x] || voteLease(x)))                    /* 5 */
}


inline wake(w) {
    frozen[w] = 0;
    if
    :: gap[w] >= G && st[w] != dead ->
        sil[w] = 0;
#ifndef OLD_LONG
        /* what the channel still has was said before somebody may have begun anew */
        if
        :: gap[w] >= LONG ->
            clean[w] = 0; same[w] = 0;
            if
            :: ch[w] -> ch[w] = 0; ce[w] = 0; dropQueue(w); ce[1-w] = (ch[1-w] && ce[1-w] == 0 -> 1 : ce[1-w])
            :: else
            fi
        :: else
        fi;
#endif
        if
        :: st[w] == alone && gap[w] < LONG
        :: st[w] == alone && gap[w] >= LONG ->
#ifndef OLD_ALONE
            doubt[w] = 1; stm[w] = (stm[w] + 1) & 31; wt[w] = 0
#else
            skip
#endif
        :: (st[w] == bound || st[w] == renouncing || st[w] == releasing || st[w] == reclaiming) ->
#ifndef OLD_HOLDER
            doubt[w] = 1; stm[w] = (stm[w] + 1) & 31; wt[w] = 0
#else
            skip
#endif
        :: st[w] <= current ->
#ifndef BUG_STALE
#ifndef OLD_LONG
            if
            :: st[w] == current && gap[w] >= LONG -> st[w] = stale; asked[w] = 0; gone[w] = 0; clean[w] = 0; ss[w] = 0
            :: else
            fi;
#endif
            doubt[w] = 1; stm[w] = (stm[w] + 1) & 31; wt[w] = 0;
#endif
            quiet[w] = 0
        fi
    :: else
    fi;
    gap[w] = 0
}

inline forget(f) {
    doubt[f] = 0; frozen[f] = 0; gap[f] = 0; known[f] = NONE; stm[f] = 0; hn[f] = NONE; hs[f] = 0; ha[f] = 0; kt[f] = 0;
    ack[f] = D; sil[f] = 0; quiet[f] = 0; wt[f] = 0; ss[f] = 0; gone[f] = 0; clean[f] = 0; asked[f] = 0; same[f] = 0; sp[f] = 0; has[f] = 0;
    mv[f] = 0; mn[f] = 0; ms[f] = 0; mst[f] = 0; mep[f] = 0; ma[f] = 0; en[f] = 0; es[f] = 0; ea[f] = 0; md[f] = 0; mc[f] = 0; kc[f] = 0;
    ch[f] = 0; ce[f] = 0; run2[f] = 0;
    if
    :: f == 0 -> do :: len(q0) > 0 -> q0?_,_,_ :: else -> break od
    :: else -> do :: len(q1) > 0 -> q1?_,_,_ :: else -> break od
    fi
}

inline drop(r) { mv[r] = 0; mn[r] = 0; ms[r] = 0; mst[r] = 0; mep[r] = 0; ma[r] = 0; en[r] = 0; es[r] = 0; ea[r] = 0; md[r] = 0; mc[r] = 0 }


/* Both ends lose the channel; what was under way may or may not still be read. */
inline loseChannel() {
    if
    :: ch[0] && ce[0] == 0 -> ce[0] = 1
    :: else
    fi;
    if
    :: ch[1] && ce[1] == 0 -> ce[1] = 1
    :: else
    fi;
    if
    :: len(q0) > 0 -> dropQueue(0)
    :: len(q1) > 0 -> dropQueue(1)
    :: true
    fi
}

inline die(k, power) {
    d_step { st[k] = dead; forget(k); host[k] = !power; event = 1; faults-- };
    /* the newest beat may not have left */
    if
    :: mv[1-k] -> d_step { drop(1-k) }
    :: true
    fi;
    if
    :: ch[1-k] && ce[1-k] == 0 && !power -> ce[1-k] = 2              /* whole: closed in order */
    :: ch[1-k] && ce[1-k] == 0 && !power -> d_step { dropQueue(1-k); 
#ifdef OLD_RESET
        ce[1-k] = 2
#else
        ce[1-k] = 1
#endif
        }  /* reset: cut off */
    :: power && ch[1-k] -> d_step { dropQueue(1-k) }
    :: !ch[1-k] || (ce[1-k] != 0)
    fi
}

/* x reads the twin's hello. */
inline greet() {
    if
    :: known[x] != nonce[y] && known[x] != NONE && st[x] >= current && (st[x] != alone || doubt[x]) -> gone[x] = 1
    :: else
    fi;
    known[x] = nonce[y]; kt[x] = st[y]; kc[x] = carr[y]; hn[x] = nonce[y]; hs[x] = stm[y]; ha[x] = 0;
    sil[x] = 0; quiet[x] = (holdsCopy(st[y]) -> 0 : quiet[x])
}

/* Both say where they are; what was in the queues is gone. */
inline openChannel() {
    d_step {
        ch[0] = 1; ch[1] = 1; ce[0] = 0; ce[1] = 0; clean[0] = 0; clean[1] = 0; same[0] = 0; same[1] = 0;
        dropQueue(0); dropQueue(1);
        x = 0; y = 1; greet(); x = 1; y = 0; greet(); x = 0; y = 0
    }
}

/* A recording of an earlier life of the twin reaches z: it was holder of a great epoch, or held nothing. */
inline replay(v) {
    d_step { faults--; event = 1; mv[v] = 1; mn[v] = 9; ms[v] = 0; mep[v] = ep[v] + 5; ma[v] = D; en[v] = nonce[v]; es[v] = stm[v]; ea[v] = D; md[v] = 0; mc[v] = 1 };
    if
    :: mst[v] = alone
    :: mst[v] = stale
    :: mst[v] = booting
    fi
}


inline environment() {
    if
    :: true
    /* recoveries cost nothing */
    :: frozen[z] -> d_step { wake(z); event = 1 }
    :: !lk[0] || !lk[1] -> lk[0] = 1; lk[1] = 1; event = 1
    :: !sg[0] || !sg[1] -> sg[0] = 1; sg[1] = 1; event = 1
    :: !carr[z] -> carr[z] = 1; event = 1; sil[z] = 0; quiet[z] = 0
    :: st[z] == dead -> d_step { st[z] = booting; host[z] = 1; nonce[z] = (nonce[z] + 1) & 7; event = 1 }
#ifdef F_LOST
    :: st[z] == dead && faults > 0 -> d_step { st[z] = booting; host[z] = 1; nonce[z] = (nonce[z] + 1) & 7; event = 1; ep[z] = 0; faults-- }
#endif
    :: canOpen -> openChannel(); event = 1
#ifdef F_VOTE
    :: !vr[z] -> vr[z] = 1; event = 1
    :: faults > 0 && vr[z] -> vr[z] = 0; faults--; event = 1
#endif
#ifdef F_FREEZE
    :: faults > 0 && st[z] != dead && !frozen[z] -> frozen[z] = 1; sp[z] = 0; faults--; event = 1
#endif
#ifdef F_DEATH
    :: faults > 0 && st[z] != dead -> die(z, 0)
#endif
#ifdef F_POWER
    :: faults > 0 && st[z] != dead -> die(z, 1)
#endif
#ifdef F_CHANNEL
    :: faults > 0 && ch[0] && ch[1] && ce[0] == 0 && ce[1] == 0 -> loseChannel(); faults--; event = 1
#endif
#ifdef F_LINK
    :: faults > 0 && lk[0] && lk[1] -> lk[0] = 0; lk[1] = 0; loseChannel(); faults--; event = 1
#endif
#ifdef F_SEGMENT
    :: faults > 0 && sg[0] && sg[1] -> sg[0] = 0; sg[1] = 0; faults--; event = 1
#endif
#ifdef F_ONEWAY
    :: faults > 0 && lk[0] && lk[1] -> lk[z] = 0; loseChannel(); faults--; event = 1
    :: faults > 0 && sg[0] && sg[1] -> sg[z] = 0; faults--; event = 1
#endif
#ifdef F_CARRIER
    :: faults > 0 && carr[z] -> carr[z] = 0; faults--; event = 1
#endif
#ifdef F_REPLAY
    :: faults > 0 && st[z] != dead -> replay(z)
#endif
    fi;
#ifndef VOTE
    exempt = exempt || !((lk[0] && lk[1]) || (segWorks(0) && segWorks(1)))
#else
    skip
#endif
}

inline act() {
    if
    :: st[z] != dead && !frozen[z] ->
        if
        :: mv[z] -> d_step { x = z; y = 1-z; readBeat(); x = 0; y = 0 }
        :: mv[z] && losses > 0 -> losses--; event = 1                     /* late */
        :: !mv[z]
        fi;
        if
        :: true -> d_step { x = z; y = 1-z; readChannel(); x = 0; y = 0 }
        :: losses > 0 && ch[z] && ((z == 0 && len(q0) > 0) || (z == 1 && len(q1) > 0)) -> losses--; event = 1      /* late */
        fi;
        d_step { x = z; y = 1-z; decide(); synchronise(); speak(); x = 0; y = 0 };
        if
        /* it has no carrier, the twin says that it has */
        :: st[z] == bound && ch[z] && ce[z] == 0 && !doubt[z] && !carr[z] && carr[1-z] ->
            d_step { x = z; y = 1-z; reserve(); st[x] = releasing; state(); tell(y, RELINQUISH, stm[x], ep[x]); sp[x] = 0; x = 0; y = 0 }
#ifdef HANDOVER
        :: st[z] == bound && handovers > 0 && ch[z] && ce[z] == 0 && !doubt[z] && carr[z] ->
            d_step { handovers--; event = 1; x = z; y = 1-z; reserve(); st[x] = releasing; state(); tell(y, RELINQUISH, stm[x], ep[x]); sp[x] = 0; x = 0; y = 0 }
#endif
        :: !(st[z] == bound && ch[z] && ce[z] == 0 && !doubt[z] && (!carr[z] && carr[1-z]))
        fi;
        if
        :: path(1-z) && st[1-z] != dead -> d_step { writeBeat(1-z, z); run2[1-z] = 0 }
        :: path(1-z) && st[1-z] != dead && losses > 0 && run2[1-z] < 2 -> losses--; run2[1-z]++; event = 1
        :: !(path(1-z) && st[1-z] != dead)
        fi
    :: else -> sp[z] = 0
    fi
}

#define up(v, max) v = (v < (max) -> v + 1 : (max))

/* the clock of z goes on */
inline clock(c) {
    up(sil[c], larger(DD, D)); up(quiet[c], S); up(wt[c], larger(W, PATIENCE)); up(ack[c], D); up(ha[1-c], D);
    if :: mv[c] -> up(ea[c], D) :: else fi;
    if :: mv[1-c] -> up(ma[1-c], D) :: else fi;
#ifdef VOTE
    up(va[c], VL); vl = (c == 0 && vl <= VL -> vl + 1 : vl);
#endif
    if :: frozen[c] -> up(gap[c], S) :: else fi;
    if :: st[c] == dead -> sil[c] = 0; quiet[c] = 0; wt[c] = 0; ack[c] = D :: else fi;
    if :: isHolder(st[c]) || st[c] == current -> quiet[c] = 0 :: else fi
}

/* For `spin -t`: what each is before controller z acts. */
inline report() {
    printf("%d acts | st %d%d doubt %d%d frozen %d%d epoch %d,%d sp %d%d has %d%d | sil %d,%d ack %d,%d quiet %d,%d wt %d,%d gap %d,%d stm %d,%d gone %d%d | ch %d%d,%d%d beat %d%d | lk %d%d sg %d%d carr %d%d | left %d,%d exempt %d well %d mute %d\n",
        z, st[0], st[1], doubt[0], doubt[1], frozen[0], frozen[1], ep[0], ep[1], sp[0], sp[1], has[0], has[1],
        sil[0], sil[1], ack[0], ack[1], quiet[0], quiet[1], wt[0], wt[1], gap[0], gap[1], stm[0], stm[1], gone[0], gone[1],
        ch[0], ch[1], ce[0], ce[1], mv[0], mv[1], lk[0], lk[1], sg[0], sg[1], carr[0], carr[1], faults, losses, exempt, well, mute)
}

#define redundant ((st[0] == bound && st[1] == current && !doubt[1]) || (st[1] == bound && st[0] == current && !doubt[0]))
#define whole (st[0] != dead && st[1] != dead && !frozen[0] && !frozen[1] && lk[0] && lk[1] && sg[0] && sg[1] && carr[0] && carr[1])
#define able(z) (st[z] != dead && !frozen[z] && carr[z])

inline account() {
    if
    :: event -> well = 0; mute = 0; idle = 0
    :: else ->
        idle = (idle < 2 -> idle + 1 : 2);
        if
        :: whole && voteReached && !redundant -> well++
        :: else -> well = 0
        fi;
        if
        :: (able(0) || able(1)) && !sp[0] && !sp[1] && !exempt && voteReached -> mute++
        :: else -> mute = 0
        fi
    fi;
    event = 0;
    assert(well < LIVE);                                                  /* 6 */
    assert(mute < LIVE);                                                  /* 7 */
    /* epochs are relative: equal situations shall be one state */
    t1 = (ep[0] < ep[1] -> ep[0] : ep[1]);
    if :: mv[0] && mep[0] < t1 -> t1 = mep[0] :: else fi;
    if :: mv[1] && mep[1] < t1 -> t1 = mep[1] :: else fi;
#ifdef VOTE
    t1 = (vep < t1 -> vep : t1);
#endif
    if
    :: t1 >= 4 && len(q0) == 0 && len(q1) == 0 ->
        t1 = (t1 / 2) * 2 - 2;
#ifdef VOTE
        vep = vep - t1;
#endif
        ep[0] = ep[0] - t1; ep[1] = ep[1] - t1;
        if :: mv[0] -> mep[0] = mep[0] - t1 :: else fi;
        if :: mv[1] -> mep[1] = mep[1] - t1 :: else fi
    :: else
    fi;
    t1 = 0;
    assert(ep[0] < 60 && ep[1] < 60)
}

active proctype world() {
    atomic {
        d_step {
            forget(0); forget(1);
            host[0] = 1; host[1] = 1; carr[0] = 1; carr[1] = 1; lk[0] = 1; lk[1] = 1; sg[0] = 1; sg[1] = 1;
            faults = FAULTS; losses = LOSSES; skew = SKEW
#ifdef HANDOVER
            ; handovers = HANDOVER
#endif
        };
        if
        :: st[0] = bound; st[1] = current; ep[0] = 2; ep[1] = 2
        :: st[1] = bound; st[0] = current; ep[0] = 3; ep[1] = 3
#ifdef COLD
        :: st[0] = booting; st[1] = booting
#endif
        fi;
        d_step {
            if
            :: st[0] != booting ->
                has[0] = 1; has[1] = 1; ch[0] = 1; ch[1] = 1; same[0] = 1; same[1] = 1; known[0] = 0; known[1] = 0;
                hn[0] = 0; hn[1] = 0; ack[0] = 1; ack[1] = 1
            :: else
            fi
        }
    };
    do
    :: atomic {
        z = turn;
        if
        :: true
        :: faults > 0 -> z = 1 - turn
        fi;
        environment();
        z = turn;
        d_step { report() };
        if
        :: idle >= 2 && canOpen -> openChannel()
        :: else
        fi;
        act();
        if
        :: turn == 0 -> turn = 1
        :: turn == 1 ->
            turn = 0;
            if
            :: true -> d_step { clock(0); clock(1) }
#if SKEW > 0
            :: skew > 0 -> skew--; event = 1; d_step { clock(0) }
            :: skew > 0 -> skew--; event = 1; d_step { clock(1) }
#endif
            fi;
            d_step { account() }
        fi;
        z = 0
        }
    od
}
