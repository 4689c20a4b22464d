def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "hiv_incentives",
        dbt.config.meta_get("study"),
        units=dbt.ref("hiv_incentives_units"),
        scores=dbt.ref("hiv_incentives_scores"),
        gates=dbt.ref("hiv_incentives_gates"),
        session=session,
    )
