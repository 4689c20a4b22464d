def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "unknown_role",
        dbt.config.meta_get("study"),
        units=dbt.ref("unknown_role_units"),
        scores=dbt.ref("unknown_role_scores"),
        gates=dbt.ref("unknown_role_gates"),
        session=session,
    )
