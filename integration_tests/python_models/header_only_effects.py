def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "header_only",
        dbt.config.meta_get("study"),
        units=dbt.ref("header_only_units"),
        scores=dbt.ref("header_only_scores"),
        gates=dbt.ref("header_only_gates"),
        session=session,
    )
